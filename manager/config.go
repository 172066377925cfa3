package manager

import (
	"cmp"
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

// DecodePolicy is what happens to values that cannot be decoded. Each of them is reported to
// Hooks.Undecodable and logged.
type DecodePolicy int

// The policies.
const (
	// KeepValue treats the value as absent in this request, and keeps it in Redis until it is set
	// or deleted. A release that cannot read a value therefore does not take it away from one that
	// can.
	KeepValue DecodePolicy = iota

	// DropValue treats the value as absent, and removes it with the commit if the session may be
	// changed.
	DropValue

	// DropSession destroys the session. The client starts with an empty one.
	DropSession

	// FailRequest fails the commit with ErrDecode, and leaves everything as it is.
	FailRequest
)

// Config configures a Manager. The zero value of each field means its default. New refuses a
// negative value unless the field says what it means.
type Config struct {
	// Lifetime is the longest time that a session lives, by the clock of the Redis server. Rotate
	// starts it again. Negative means no limit, and needs an IdleTimeout.
	//
	// Defaults to 24 h.
	Lifetime time.Duration

	// IdleTimeout is how long a session may go unused before it expires. Reads count as use. It
	// never extends a session beyond Lifetime. Negative means off.
	//
	// Defaults to 0, off.
	IdleTimeout time.Duration

	// RotateEvery is the age at which a token is replaced, by the next request that may write. The
	// old token keeps working until the client has shown the new one, and for RotateGrace after
	// that. Negative means off.
	//
	// Defaults to 0, off.
	RotateEvery time.Duration

	// EndOnReuse ends a session when a request shows a token that RotateEvery has replaced and that
	// no longer works. The user and a thief then both have to log in again. Without EndOnReuse the
	// session continues for the client with the current token, which may be the thief. In either
	// case each reuse is counted in Stats.Reused, passed to Hooks.Opened as OpenedReused, and
	// logged. Holdfast recognizes the last 8 tokens since the login.
	//
	// Two harmless cases look the same: a client that restores its cookies from a backup, and one
	// that lost the response with the new token and comes back after RotateEvery and RotateGrace.
	// See RFC 9700, section 4.14.2.
	//
	// Defaults to false.
	EndOnReuse bool

	// RotateGrace is how long a token that Rotate has replaced is still recognized. It does not
	// open the session: a request of a parallel tab that still carries it sees an empty session
	// that is not saved, and its response leaves the cookie alone. At least 1 ms.
	//
	// Defaults to 30 s.
	RotateGrace time.Duration

	// RotateThreshold is the age from which Session.ShouldRotate reports true for a token. It must
	// be shorter than Lifetime. Negative means off.
	//
	// Defaults to 0, off.
	RotateThreshold time.Duration

	// Mode chooses the mode of each request that Handler serves, before the session is opened.
	// ByMethod is a good choice for most applications.
	//
	// Defaults to Exclusive for every request.
	Mode func(*http.Request) Mode

	// Propagator carries the token between client and server.
	//
	// Defaults to Cookie{}.
	Propagator Propagator

	// Codec encodes and decodes values.
	//
	// Defaults to JSON{}.
	Codec Codec

	// Store keeps the sessions. Locks and messages stay in Redis. The Manager does not close the
	// Store, and several Managers may share it. A request that writes costs five round trips
	// instead of two, three of them to the Store. A request that reads always costs one, since
	// there are no local copies. The grace period of tokens that RotateEvery has replaced is a
	// setting of the Store.
	//
	// Defaults to a store in Redis.
	Store store.Sessions

	// Prefix begins the name of every key and channel in Redis. Managers with different prefixes
	// can share a Redis. It must not contain braces, which would decide the slot of each key in a
	// Redis Cluster.
	//
	// Defaults to "holdfast".
	Prefix string

	// TokenKeys sign tokens with HMAC-SHA256. Each has at least 32 bytes. The first key signs, and
	// all of them verify. To rotate keys without logging users out, first add the new key at the
	// end on all replicas, then move it to the front, and remove the old one when the tokens that
	// it signed have expired. A token without a valid signature is refused without a call to Redis.
	//
	// Defaults to none: tokens are random and not signed.
	TokenKeys [][]byte

	// EncryptionKeys encrypt values with AES-256-GCM, in Redis and in Sealed cookies. Each has at
	// least 32 bytes. The first key encrypts, and all of them decrypt. To rotate keys, first add
	// the new key at the end on all replicas, then move it to the front, and remove the old one
	// when all sessions that began under it have ended. Encryption binds a value to its session and
	// key.
	//
	// Values that were stored without encryption cannot be decoded once there is a key.
	//
	// Defaults to none: values are stored as the Codec encodes them, and Sealed cannot be used.
	EncryptionKeys [][]byte

	// Undecodable is what happens to values that cannot be decoded or decrypted, for instance after
	// a change of their type, of the Codec or of the keys.
	//
	// Defaults to KeepValue.
	Undecodable DecodePolicy

	// LockTTL is how long a lock outlives a process that died, and keeps other requests waiting. A
	// running process renews its locks. From 30 ms to 24 h.
	//
	// Defaults to 5 s.
	LockTTL time.Duration

	// LockWait is how long a request waits for its session's lock before it fails with
	// ErrLockTimeout. Make it longer than LockTTL: otherwise a request fails before the lock of a
	// process that died has expired. New then logs a warning. Negative means until the client
	// leaves.
	//
	// Defaults to 10 s.
	LockWait time.Duration

	// MaxHold is the longest time that one request may hold the lock. After that, or up to a
	// twentieth of MaxHold earlier, the lock ends and the request's context is canceled. At least
	// 30 ms. Negative means no limit.
	//
	// Defaults to 1 min.
	MaxHold time.Duration

	// Retain is how long this process keeps a session's lock after a request, for the session's
	// next one. It does so after two requests of the session in a row. The next request then opens
	// without a round trip, and Redis checks before the first byte of its response that nothing has
	// changed. A request at another replica recalls the lock and gets it at once. If this process
	// dies, that request may wait for Retain. From 10 ms to LockTTL. Negative means off.
	//
	// Defaults to 2 s, or to LockTTL if that is shorter.
	Retain time.Duration

	// MaxWaiters is how many requests of this process may wait for one session, and also how many
	// processes may wait for it in Redis. Further requests fail with ErrTooManyWaiters. At least 1.
	//
	// Defaults to 128.
	MaxWaiters int

	// CacheBytes is the approximate memory limit for local copies, in bytes. Negative means no
	// local copies: every read queries Redis.
	//
	// Defaults to 64 MiB.
	CacheBytes int64

	// MaxStaleness is the maximum age of data that a ReadOnly request may see. A local copy is used
	// only while this process has evidence, not older than that, that it missed no invalidation.
	// From 40 ms to 1 h.
	//
	// Defaults to 2 s.
	MaxStaleness time.Duration

	// MaxCopyAge is the age at which a local copy is validated even without an invalidation. It
	// covers what sends none: FLUSHALL, eviction, and messages that a cluster loses between two
	// heartbeats, which are a quarter of MaxStaleness apart.
	//
	// Defaults to 1 min.
	MaxCopyAge time.Duration

	// MaxSessionBytes is the maximum encoded size of a session in bytes: keys, names of children,
	// values, user, and the client's user agent and address. A commit that would exceed it fails
	// with ErrTooLarge. Negative means no limit.
	//
	// Defaults to 1 MiB.
	MaxSessionBytes int

	// MaxUserSessions is how many sessions may be bound to one user (OWASP ASVS 5.0, 7.1.2). A
	// login beyond it ends the session that was bound first. With RefuseUserSessions the commit of
	// that login fails with ErrTooManySessions instead. Negative means no limit.
	//
	// Defaults to 0, no limit.
	MaxUserSessions int

	// RefuseUserSessions refuses a login beyond MaxUserSessions instead of ending an older session.
	//
	// Defaults to false.
	RefuseUserSessions bool

	// TrustedProxies are the networks of the application's proxies. Only from them does Holdfast
	// trust X-Forwarded-For and Forwarded (RFC 7239). It reads these headers from right to left, up
	// to the first address outside these networks. If a request has both headers and they disagree,
	// its address is that of the proxy.
	//
	// Defaults to none: the client's address is that of its connection.
	TrustedProxies []netip.Prefix

	// NoClientInfo keeps the client's user agent and address out of the session.
	//
	// Defaults to false.
	NoClientInfo bool

	// WaitReplicas is how many Redis replicas must have a commit before Holdfast acknowledges it.
	// It costs no further round trip. If fewer Redis replicas confirm within half of Timeout, the
	// request fails with ErrOutcomeUnknown, although the commit was written. This makes the loss of
	// an acknowledged commit in a failover unlikely, not impossible.
	//
	// Defaults to 0.
	WaitReplicas int

	// OnUnavailable is what happens to a read-only request when Redis is unavailable and there is
	// no fresh local copy. Requests of other modes fail with ErrUnavailable.
	//
	// Defaults to Fail.
	OnUnavailable Unavailable

	// Timeout is the limit for each call to Redis, even if the client's timeouts are longer; such a
	// client costs a goroutine for each call. From 1 ms to 10 s, since a commit must arrive within
	// the minute for which Redis remembers a removed session. With WaitReplicas at least 2 ms.
	//
	// Defaults to 5 s, the ReadTimeout of go-redis, or to LockTTL if that is shorter.
	Timeout time.Duration

	// Hooks are functions that are called when something happens to a session.
	//
	// Defaults to none.
	Hooks Hooks

	// ErrorHandler answers a request whose session could not be opened or committed. At that point
	// nothing of the handler's response was sent, and its header was discarded. It may call
	// DefaultErrorHandler. If it writes nothing, the client gets 500.
	//
	// Defaults to DefaultErrorHandler.
	ErrorHandler func(http.ResponseWriter, *http.Request, error)

	// LoginURL is the page to which RequireUser and RequireFresh redirect requests that need a
	// login: a path of this site such as "/login", or an https URL. The query parameter "next"
	// carries the page that the visitor wanted; see ReturnTo.
	//
	// Defaults to "": they answer 401.
	LoginURL string

	// Logger receives the log lines of this library. They never contain a token, a value or the
	// name of a key.
	//
	// Defaults to slog.Default().
	Logger *slog.Logger

	// NodeName is the name under which operators see this process: in the log, in metrics, in the
	// console and in the output of the holdfast command. Redis keeps it while the process runs.
	// Several processes may share a name. At most 64 bytes of UTF-8 without control characters.
	//
	// Defaults to the name of the host, which in a container is the name of the pod.
	NodeName string

	// BrowserSession makes new sessions end with the browser: their cookies have no expiry.
	// Session.Remember overrides it for one session.
	//
	// Defaults to false: a cookie lives as long as its session can.
	BrowserSession bool

	// Insecure lets the cookie travel over plain HTTP, for http://localhost. It sets Insecure of
	// the Cookie in Propagator, also within a Chain. The default name of the cookie is then
	// "session".
	//
	// Defaults to false.
	Insecure bool
}

// Unavailable is a policy for read-only requests while Redis is unavailable.
type Unavailable int

// The policies.
const (
	// Fail refuses the request with ErrUnavailable, which the default ErrorHandler answers with
	// 503.
	Fail Unavailable = iota

	// Anonymous lets the handler run with an empty session, as if the client had none.
	// [Session.Unavailable] reports that. The response leaves the cookie alone, and Require still
	// answers 503. Use it for pages that visitors without a session can use.
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
	cfg.NodeName = cmp.Or(strings.Clone(cfg.NodeName), hostName())
	if cfg.Propagator == nil {
		cfg.Propagator = Cookie{}
	}
	cfg.Propagator = plainPropagator(cfg.Propagator)
	if cfg.Insecure {
		cfg.Propagator = insecure(cfg.Propagator)
	}
	if cfg.Codec == nil {
		cfg.Codec = JSON{}
	}
	cfg.Codec = plainCodec(cfg.Codec)
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
