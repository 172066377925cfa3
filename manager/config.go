package manager

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/store"
)

// Mode is how a request opens its session.
type Mode int

// The modes, from the weakest to the strongest.
const (
	// ReadOnly takes no lock and refuses changes. It reads the copy in this process while no other node can have
	// changed the session without this one knowing, up to Config.MaxStaleness; that costs no round trip. Otherwise it
	// asks Redis, in one. For polls, assets and most GETs.
	ReadOnly Mode = iota + 1

	// Optimistic takes no lock. The commit fails with ErrConflict if a key that the request has read or written was
	// changed since, so requests that work on different keys run side by side. One round trip to open and one to
	// commit a change. For pages that call the server many times in parallel.
	Optimistic

	// Lazy is Exclusive from the first use of the session on; a request that does not use it costs no round trip. For
	// handlers that often do not need the session.
	Lazy

	// Exclusive takes the session's lock before the handler runs, first come first served, and reads what Redis has.
	// One round trip to open and one to commit a change; a third where another node was at the session a moment ago. For
	// anything.
	Exclusive
)

// DecodePolicy says what becomes of values that cannot be decoded. Each is reported to Hooks.Undecodable and logged.
type DecodePolicy int

// The policies.
const (
	// KeepValue takes the value for absent in this request and leaves it as it is until it is set or deleted, so a
	// release that cannot read a value takes it from no other.
	KeepValue DecodePolicy = iota

	// DropValue takes the value for absent, and removes it with the commit if the session may be changed.
	DropValue

	// DropSession destroys the session, so that the client begins anew.
	DropSession

	// FailRequest fails the commit with ErrDecode, and keeps everything as it is.
	FailRequest
)

// Config is what New may be told. The zero value of a field means its default, a negative duration means off, and
// every boolean defaults to false.
type Config struct {
	// Lifetime is how long a session lives at most, by the clock of the Redis server. Rotate starts it anew.
	// Negative: for as long as it is used; needs an IdleTimeout.
	//
	// Defaults to 24 h.
	Lifetime time.Duration

	// IdleTimeout ends a session that was not used for so long. Reading counts as use. It never outlasts Lifetime.
	//
	// Defaults to 0, off.
	IdleTimeout time.Duration

	// RotateEvery gives the client a new token once its token is so old, in the next request that may write. The old
	// one goes on working until the client has shown the new one, and for RotateGrace after that.
	//
	// Defaults to 0, off.
	RotateEvery time.Duration

	// EndOnReuse ends a session when somebody shows a token that RotateEvery has replaced, after its end. Client and thief
	// then have to log in again. Without it the session goes on for whoever has the current token, which may be a thief who
	// came first. Each reuse is counted in Stats.Reused, told to Hooks.Opened as OpenedReused, and logged, with or without
	// EndOnReuse; the last 8 tokens since the login are recognised. Two things look the same: a client that restores its
	// cookies from a backup, and one that lost the response with the new token and comes back after RotateEvery and
	// RotateGrace. See RFC 9700, section 4.14.2.
	//
	// Defaults to false.
	EndOnReuse bool

	// RotateGrace is how long a token that Rotate has replaced is recognised. It opens nothing: requests of parallel
	// tabs that still carry it see an empty session that is not saved, and their response does not touch the cookie.
	//
	// Defaults to 30 s.
	RotateGrace time.Duration

	// RotateThreshold is the age of a token from which Session.ShouldRotate says so.
	//
	// Defaults to 0, off.
	RotateThreshold time.Duration

	// Mode chooses the mode of each request that Handler serves, before anything is opened.
	//
	// Defaults to Exclusive for all.
	Mode func(*http.Request) Mode

	// Propagator carries the token.
	//
	// Defaults to Cookie{}.
	Propagator Propagator

	// Codec encodes values.
	//
	// Defaults to JSON{}.
	Codec Codec

	// Store keeps the sessions. Locks and messages stay in Redis, which the Store need not be. It is not closed with the
	// Manager, and may be shared by several. A request that writes costs five round trips instead of two, three of them to
	// the Store, and one that reads always costs one: there are no local copies. The grace of tokens that RotateEvery has
	// replaced is the Store's own setting.
	//
	// Defaults to Redis.
	Store store.Sessions

	// Prefix begins every Redis key and channel. Managers with different prefixes share a Redis without sharing
	// anything else. It has no braces, which tell Redis Cluster where a key goes.
	//
	// Defaults to "holdfast".
	Prefix string

	// TokenKeys sign tokens, with HMAC-SHA256: the first signs, all verify, so a new one goes in front and an old one
	// goes once the tokens it signed have expired. A token without a good signature is refused without asking Redis.
	// Each has at least 32 bytes.
	//
	// Defaults to none: tokens are random and are not signed.
	TokenKeys [][]byte

	// EncryptionKeys encrypt values, in Redis and in Sealed cookies, with AES-256-GCM: the first encrypts, all decrypt,
	// so a new one goes in front and an old one goes once no session is left from its time. A value is bound to its
	// session and key. Each has at least 32 bytes.
	//
	// Values that were stored before there was a key are undecodable once there is one.
	//
	// Defaults to none: values are stored as the Codec encodes them, and Sealed is not available.
	EncryptionKeys [][]byte

	// Undecodable says what becomes of values that cannot be decoded or decrypted: after a change of their type, of the
	// Codec, or of keys.
	//
	// Defaults to KeepValue.
	Undecodable DecodePolicy

	// LockTTL is how long the lock of a process that died keeps others waiting. A living one renews it. From 30 ms to 24 h.
	//
	// Defaults to 5 s.
	LockTTL time.Duration

	// LockWait is how long a request waits for its session's lock before it fails with ErrLockTimeout. If it is not longer
	// than LockTTL, a request that meets the lock of a process that died fails a moment before it would be served; New logs a
	// warning. Negative: for as long as the client does.
	//
	// Defaults to 10 s.
	LockWait time.Duration

	// MaxHold is how long one request may hold the lock. Then the lock ends, up to a twentieth of MaxHold early, and the
	// request's context with it. At least 30 ms. Negative: forever.
	//
	// Defaults to 1 min.
	MaxHold time.Duration

	// Retain is how long this process keeps the lock of a session after a request, for the session's next one, once a few
	// in a row have come here. Such a request needs no round trip to open, and one to end: Redis checks before its first
	// byte that nothing has changed. A request at another replica gets the lock as soon as it asks. If this process dies,
	// it may have to wait for that long. At most LockTTL. Negative: off.
	//
	// Defaults to 2 s, or LockTTL if that is shorter.
	Retain time.Duration

	// MaxWaiters is how many requests may wait for one session, in this process and again across all of them. Others
	// fail with ErrTooManyWaiters.
	//
	// Defaults to 128.
	MaxWaiters int

	// CacheBytes bounds the memory for local copies, roughly. Negative: no copies are kept, and every read asks Redis.
	//
	// Defaults to 64 MiB.
	CacheBytes int64

	// MaxStaleness bounds how old the truth may be that a read-only request is shown: a local copy is used only while
	// this process has proof that it heard of every change up to so long ago. From 40 ms to 1 h.
	//
	// Defaults to 2 s.
	MaxStaleness time.Duration

	// MaxCopyAge is after how long a local copy is checked against Redis even if nothing was heard, since a server
	// that is flushed or evicts a session tells nobody, and a message that a cluster loses between two probes, a quarter
	// of MaxStaleness apart, is not missed.
	//
	// Defaults to 1 min.
	MaxCopyAge time.Duration

	// MaxSessionBytes bounds the encoded size of a session: its keys, with the names of children, its values, its user and the
	// metadata of its client. A commit that stores something beyond it fails with ErrTooLarge.
	// Negative: no bound.
	//
	// Defaults to 1 MiB.
	MaxSessionBytes int

	// MaxUserSessions bounds how many sessions may be bound to one user (OWASP ASVS 5.0, 7.1.2). A login beyond it ends
	// the one that was bound first; with RefuseUserSessions the login's commit fails with ErrTooManySessions.
	//
	// Defaults to 0, no bound.
	MaxUserSessions int

	// RefuseUserSessions refuses a login beyond MaxUserSessions instead of ending an older session.
	//
	// Defaults to false.
	RefuseUserSessions bool

	// TrustedProxies are the networks of the application's own proxies. Only from them are X-Forwarded-For and Forwarded
	// (RFC 7239) believed, from right to left, up to the first address that is not one of them. If a request has both and
	// they disagree, its address is that of the proxy.
	//
	// Defaults to none: the address of a client is that of its connection.
	TrustedProxies []netip.Prefix

	// NoClientInfo leaves user agent and address of the client out of the session.
	//
	// Defaults to false.
	NoClientInfo bool

	// WaitReplicas is how many replicas of Redis must have a commit before it is acknowledged, with WAIT in the commit's
	// own round trip. If fewer confirm it within half of Timeout the request fails with ErrOutcomeUnknown, although the
	// commit was written. It makes the loss of an acknowledged commit in a failover unlikely, not impossible.
	//
	// Defaults to 0.
	WaitReplicas int

	// OnUnavailable is what becomes of a read-only request when Redis cannot be asked and no local copy is proven fresh.
	// All others fail with ErrUnavailable.
	//
	// Defaults to Fail.
	OnUnavailable Unavailable

	// Timeout bounds each call to Redis, whatever the client's own timeouts are. From 1 ms to 10 s: a commit must not be under
	// way for longer than the minute for which Redis remembers a session that was removed. At least 2 ms with WaitReplicas.
	//
	// Defaults to 5 s, go-redis' own ReadTimeout, or LockTTL if that is shorter. A client whose timeouts are longer than this
	// costs a goroutine for each call.
	Timeout time.Duration

	// Hooks are told what happens to sessions.
	//
	// Defaults to none.
	Hooks Hooks

	// ErrorHandler answers a request whose session could not be opened or committed. Nothing of the handler's own
	// response was sent, and its header is gone. If ErrorHandler writes nothing, the client gets 500. It may call
	// DefaultErrorHandler.
	//
	// Defaults to DefaultErrorHandler.
	ErrorHandler func(http.ResponseWriter, *http.Request, error)

	// LoginURL is the page to which RequireUser and RequireFresh send browsers that have to log in: a path of this site such as
	// "/login", or an https URL. The page the visitor wanted travels in its query parameter "next"; see ReturnTo.
	//
	// Defaults to "": they answer 401.
	LoginURL string

	// Logger gets what the library has to say. It never gets a token, a value or a key's name.
	//
	// Defaults to slog.Default().
	Logger *slog.Logger

	// BrowserSession makes new sessions end with the browser: their cookies have no expiry. Session.Remember overrides it for
	// one session.
	//
	// Defaults to false: a cookie lives as long as its session can.
	BrowserSession bool

	// Insecure lets the cookie travel over plain HTTP, for http://localhost. It sets Insecure of Cookie, also if Propagator
	// is a Cookie or a Chain with one. A cookie without a Name is then called "session", so it is another cookie than in
	// production.
	//
	// Defaults to false.
	Insecure bool
}

// Unavailable is a policy for read-only requests while Redis is away.
type Unavailable int

// The policies.
const (
	// Fail refuses the request with ErrUnavailable, which the default ErrorHandler answers with 503.
	Fail Unavailable = iota

	// Anonymous lets the handler run with an empty session, as if the client had none; [Session.Unavailable] tells it so.
	// The cookie is left alone, and Require still answers 503. It is for pages that are of use to strangers too.
	Anonymous
)

func (c *Config) withDefaults() Config {
	var cfg Config
	if c != nil {
		cfg = *c
	}
	cfg.Lifetime = cmp.Or(cfg.Lifetime, 24*time.Hour)
	cfg.RotateGrace = cmp.Or(cfg.RotateGrace, 30*time.Second)
	cfg.LockTTL = cmp.Or(cfg.LockTTL, 5*time.Second)
	cfg.LockWait = cmp.Or(cfg.LockWait, 10*time.Second)
	cfg.Retain = cmp.Or(cfg.Retain, min(2*time.Second, cfg.LockTTL))
	cfg.MaxHold = cmp.Or(cfg.MaxHold, time.Minute)
	cfg.MaxWaiters = cmp.Or(cfg.MaxWaiters, 128)
	cfg.CacheBytes = cmp.Or(cfg.CacheBytes, 64<<20)
	cfg.MaxStaleness = cmp.Or(cfg.MaxStaleness, 2*time.Second)
	cfg.MaxCopyAge = cmp.Or(cfg.MaxCopyAge, time.Minute)
	cfg.MaxSessionBytes = cmp.Or(cfg.MaxSessionBytes, 1<<20)
	cfg.Timeout = cmp.Or(cfg.Timeout, min(rdb.DefaultTimeout, cfg.LockTTL))
	cfg.Prefix = cmp.Or(cfg.Prefix, keys.DefaultPrefix)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.Propagator == nil {
		cfg.Propagator = Cookie{}
	}
	if cfg.Insecure {
		cfg.Propagator = insecure(cfg.Propagator)
	}
	if cfg.Codec == nil {
		cfg.Codec = JSON{}
	}
	if cfg.ErrorHandler == nil {
		cfg.ErrorHandler = DefaultErrorHandler
	}
	if cfg.IdleTimeout >= time.Millisecond {
		cfg.IdleTimeout = wholeMillis(cfg.IdleTimeout)
	}
	if cfg.Lifetime >= time.Millisecond {
		cfg.Lifetime = wholeMillis(cfg.Lifetime)
	}
	cfg.EncryptionKeys = slices.Clone(cfg.EncryptionKeys)
	cfg.TokenKeys = slices.Clone(cfg.TokenKeys)
	cfg.TrustedProxies = slices.Clone(cfg.TrustedProxies)
	return cfg
}

// longest bounds what is added to a time that Redis keeps.
const longest = 100 * 365 * 24 * time.Hour

// warn logs what is accepted and may surprise.
func (c *Config) warn() {
	if c.LockWait > 0 && c.LockWait <= c.LockTTL {
		c.Logger.Warn("holdfast: LockWait is not longer than LockTTL: a request that meets the lock of a process that died fails with ErrLockTimeout before it is served; make LockWait longer, or LockTTL shorter",
			"LockWait", c.LockWait, "LockTTL", c.LockTTL)
	}
}

// validate names the field and the fix.
func (c *Config) validate() error {
	switch {
	case c.Lifetime < 0 && c.IdleTimeout <= 0:
		return errors.New("Lifetime is off and so is IdleTimeout: sessions would never end; set one of them")
	case c.Lifetime > 0 && c.Lifetime < time.Millisecond, c.IdleTimeout > 0 && c.IdleTimeout < time.Millisecond:
		return fmt.Errorf("Lifetime is %v and IdleTimeout is %v: Redis counts milliseconds; make them longer", c.Lifetime, c.IdleTimeout)
	case c.Lifetime > 0 && c.IdleTimeout > c.Lifetime:
		return fmt.Errorf("IdleTimeout is %v: it must not be longer than Lifetime (%v), which ends the session anyway", c.IdleTimeout, c.Lifetime)
	case c.RotateEvery > 0 && c.Lifetime > 0 && c.RotateEvery >= c.Lifetime:
		return fmt.Errorf("RotateEvery is %v: it must be shorter than Lifetime (%v), or it never happens", c.RotateEvery, c.Lifetime)
	case c.EndOnReuse && c.RotateEvery <= 0:
		return errors.New("EndOnReuse is set and RotateEvery is not: there is no token to reuse; set both")
	case c.RotateThreshold > 0 && c.Lifetime > 0 && c.RotateThreshold >= c.Lifetime:
		return fmt.Errorf("RotateThreshold is %v: it must be shorter than Lifetime (%v), or no token ever gets as old", c.RotateThreshold, c.Lifetime)
	case c.RotateGrace < time.Millisecond:
		return fmt.Errorf("RotateGrace is %v: parallel tabs need it; set some seconds, at least 1ms", c.RotateGrace)
	case c.RotateEvery > longest || c.RotateGrace > longest || c.Lifetime > longest || c.IdleTimeout > longest:
		return fmt.Errorf("Lifetime is %v, IdleTimeout is %v, RotateEvery is %v and RotateGrace is %v: set at most %v (100 years) each",
			c.Lifetime, c.IdleTimeout, c.RotateEvery, c.RotateGrace, longest)
	case c.MaxStaleness < 40*time.Millisecond:
		return fmt.Errorf("MaxStaleness is %v: proof takes longer than that; set at least 40ms", c.MaxStaleness)
	case c.MaxStaleness > time.Hour:
		return fmt.Errorf("MaxStaleness is %v: a lost connection would go unnoticed for as long; set at most 1h", c.MaxStaleness)
	case c.MaxCopyAge < 0:
		return fmt.Errorf("MaxCopyAge is %v: set a positive time, or turn copies off with a negative CacheBytes", c.MaxCopyAge)
	case c.LockTTL < 30*time.Millisecond:
		return fmt.Errorf("LockTTL is %v: it must be at least 30ms, so that it can be renewed in time", c.LockTTL)
	case c.LockTTL > 24*time.Hour:
		return fmt.Errorf("LockTTL is %v: a process that died would lock its sessions for as long; set at most 24h", c.LockTTL)
	case c.MaxHold > 0 && c.MaxHold < 30*time.Millisecond:
		return fmt.Errorf("MaxHold is %v: it cannot be kept so exactly; set at least 30ms, or a negative one for no bound", c.MaxHold)
	case c.Retain > c.LockTTL:
		return fmt.Errorf("Retain is %v: it must not be longer than LockTTL (%v); a negative one switches it off", c.Retain, c.LockTTL)
	case c.MaxWaiters < 1:
		return fmt.Errorf("MaxWaiters is %d: set at least 1", c.MaxWaiters)
	case c.OnUnavailable < Fail || c.OnUnavailable > Anonymous:
		return fmt.Errorf("OnUnavailable is %d: set Fail or Anonymous", c.OnUnavailable)
	case c.WaitReplicas < 0:
		return fmt.Errorf("WaitReplicas is %d: set the number of replicas, or 0", c.WaitReplicas)
	case c.Timeout < time.Millisecond:
		return fmt.Errorf("Timeout is %v: set at least 1ms", c.Timeout)
	case c.Timeout > store.MaxTimeout:
		return fmt.Errorf("Timeout is %v: a commit could arrive when Redis no longer remembers that its session was removed; set at most %v",
			c.Timeout, store.MaxTimeout)
	case c.WaitReplicas > 0 && c.Timeout < 2*time.Millisecond:
		return fmt.Errorf("Timeout is %v: half of it is for WaitReplicas, in whole milliseconds; set at least 2ms", c.Timeout)
	case strings.ContainsAny(c.Prefix, "{}"):
		return fmt.Errorf("Prefix is %q: leave the braces out, they would keep a Redis Cluster from spreading the sessions", c.Prefix)
	case c.Undecodable < KeepValue || c.Undecodable > FailRequest:
		return fmt.Errorf("Undecodable is %d: use KeepValue, DropValue, DropSession or FailRequest", c.Undecodable)
	case c.RefuseUserSessions && c.MaxUserSessions <= 0:
		return errors.New("RefuseUserSessions is set and MaxUserSessions is not: there is nothing to refuse; set both")
	}
	for i, p := range c.TrustedProxies {
		if !p.IsValid() {
			return fmt.Errorf("TrustedProxies[%d] is no network: make it with netip.ParsePrefix", i)
		}
	}
	for i, key := range c.TokenKeys {
		if len(key) < 32 {
			return fmt.Errorf("TokenKeys[%d] has %d bytes: give each at least 32, from crypto/rand", i, len(key))
		}
	}
	for i, key := range c.EncryptionKeys {
		if len(key) < 32 {
			return fmt.Errorf("EncryptionKeys[%d] has %d bytes: give each at least 32, from crypto/rand", i, len(key))
		}
	}
	if p, ok := c.Propagator.(checker); ok {
		if err := p.check(); err != nil {
			return fmt.Errorf("Propagator: %w", err)
		}
	}
	return nil
}
