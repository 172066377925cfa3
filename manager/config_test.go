package manager_test

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// configMistakes are what New refuses, with the field that it names and the fix.
var configMistakes = []struct {
	cfg        manager.Config
	field, fix string
}{
	{manager.Config{Lifetime: -1}, "Lifetime", "set one"},
	{manager.Config{Lifetime: -1, IdleTimeout: -1}, "Lifetime", "set one"},
	{manager.Config{Propagator: (*manager.Cookie)(nil)}, "Propagator", "leave it out"},
	{manager.Config{Propagator: manager.Chain{(*manager.Header)(nil)}}, "Propagator", "leave it out"},
	{manager.Config{Codec: (*manager.Gob)(nil)}, "Codec", "leave it out"},
	{manager.Config{Lifetime: time.Microsecond}, "Lifetime", "longer"},
	{manager.Config{IdleTimeout: time.Microsecond}, "IdleTimeout", "longer"},
	{manager.Config{IdleTimeout: 25 * time.Hour}, "IdleTimeout", "not be longer than Lifetime (24h0m0s)"},
	{manager.Config{Lifetime: time.Hour, IdleTimeout: 2 * time.Hour}, "IdleTimeout", "not be longer than Lifetime (1h0m0s)"},
	{manager.Config{Lifetime: time.Hour, RotateEvery: time.Hour}, "RotateEvery", "shorter than Lifetime"},
	{manager.Config{Lifetime: time.Hour, RotateThreshold: time.Hour}, "RotateThreshold", "shorter than Lifetime"},
	{manager.Config{RotateGrace: -1}, "RotateGrace", "at least 1ms"},
	{manager.Config{RotateGrace: 1}, "RotateGrace", "at least 1ms"},
	{manager.Config{RotateGrace: math.MaxInt64}, "RotateGrace", "100 years"},
	{manager.Config{Lifetime: math.MaxInt64}, "Lifetime", "100 years"},
	{manager.Config{Lifetime: -1, IdleTimeout: math.MaxInt64}, "IdleTimeout", "100 years"},
	{manager.Config{Lifetime: -1, IdleTimeout: time.Hour, RotateEvery: math.MaxInt64}, "RotateEvery", "100 years"},
	{manager.Config{MaxStaleness: math.MaxInt64}, "MaxStaleness", "at most 1h"},
	{manager.Config{LockTTL: math.MaxInt64}, "LockTTL", "at most 24h"},
	{manager.Config{MaxHold: 1}, "MaxHold", "at least 30ms"},
	{manager.Config{Timeout: time.Hour}, "Timeout", "at most 10s"},
	{manager.Config{Timeout: time.Millisecond, WaitReplicas: 1}, "Timeout", "at least 2ms"},
	{manager.Config{MaxStaleness: time.Millisecond}, "MaxStaleness", "at least 40ms"},
	{manager.Config{MaxStaleness: -1}, "MaxStaleness", "at least 40ms"},
	{manager.Config{MaxCopyAge: -1}, "MaxCopyAge", "CacheBytes"},
	{manager.Config{LockTTL: time.Millisecond}, "LockTTL", "at least 30ms"},
	{manager.Config{LockTTL: -1}, "LockTTL", "at least 30ms"},
	{manager.Config{MaxWaiters: -1}, "MaxWaiters", "at least 1"},
	{manager.Config{Timeout: -1}, "Timeout", "at least 1ms"},
	{manager.Config{Prefix: "{app}"}, "Prefix", "leave the braces out"},
	{manager.Config{Undecodable: 7}, "Undecodable", "DropValue"},
	{manager.Config{Undecodable: -1}, "Undecodable", "DropValue"},
	{manager.Config{RefuseUserSessions: true}, "RefuseUserSessions", "MaxUserSessions"},
	{manager.Config{Retain: time.Millisecond}, "Retain", "at least 10ms"},
	{manager.Config{EndOnReuse: true}, "EndOnReuse", "RotateEvery"},
	{manager.Config{TrustedProxies: make([]netip.Prefix, 1)}, "TrustedProxies[0]", "netip.ParsePrefix"},
	{manager.Config{TokenKeys: [][]byte{make([]byte, 32), make([]byte, 31)}}, "TokenKeys[1]", "at least 32, from crypto/rand"},
	{manager.Config{TokenKeys: [][]byte{nil}}, "TokenKeys[0]", "at least 32, from crypto/rand"},
	{manager.Config{EncryptionKeys: [][]byte{make([]byte, 16)}}, "EncryptionKeys[0]", "at least 32, from crypto/rand"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Host-x", Domain: "example.com"}}, "Cookie.Name", "without a Domain"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Host-x", Path: "/app"}}, "Cookie.Name", "Path /"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Host-x", Insecure: true}}, "Cookie.Name", "Secure"},
	{manager.Config{Propagator: manager.Cookie{Name: "__HOST-x", Domain: "example.com"}}, "Cookie.Name", "without a Domain"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Secure-x", Insecure: true}}, "Cookie.Name", "Insecure to false"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Http-x", Readable: true}}, "Cookie.Name", "HttpOnly"},
	{manager.Config{Propagator: manager.Cookie{Name: "__Host-Http-x", Readable: true}}, "Cookie.Name", "HttpOnly"},
	{manager.Config{Propagator: manager.Cookie{SameSite: http.SameSiteNoneMode, Insecure: true}}, "Cookie.SameSite", "Insecure to false"},
	{manager.Config{Propagator: manager.Cookie{SameSite: 9}}, "Cookie.SameSite", "net/http"},
	{manager.Config{Propagator: manager.Cookie{Partitioned: true, Insecure: true}}, "Cookie.Partitioned", "Insecure to false"},
	{manager.Config{Propagator: manager.Cookie{Name: "a b"}}, "Cookie", "not valid"},
	{manager.Config{Propagator: manager.Cookie{Name: "a=b"}}, "Cookie", "not valid"},
	{manager.Config{Propagator: manager.Cookie{Domain: "exa mple"}}, "Cookie", "not valid"},
	{manager.Config{Propagator: manager.Cookie{Path: "/a;b"}}, "Cookie", "not valid"},
	{manager.Config{Propagator: manager.Cookie{Path: "app"}}, "Cookie.Path", "begin with /"},
	{manager.Config{Propagator: manager.Header{Name: "a b"}}, "Header.Name", "letters, digits"},
	{manager.Config{Propagator: manager.Header{Name: "cookie"}}, "Header.Name", "propagator Cookie"},
	{manager.Config{Propagator: manager.Chain{}}, "Chain", "at least one"},
	{manager.Config{Propagator: manager.Chain{manager.Header{}, nil}}, "Chain", "leave it out"},
	{manager.Config{Propagator: manager.Chain{manager.Header{}, manager.Chain{manager.Cookie{Path: "x"}}}}, "Cookie.Path", "begin with /"},
}

// A mistake is refused by New, with the field and the fix in the error.
func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // never dialled
	defer rdb.Close()
	for _, c := range configMistakes {
		m, err := manager.New(rdb, &c.cfg)
		if err == nil {
			_ = m.Close(t.Context())
			t.Errorf("%+v: no error; want one about %s", c.cfg, c.field)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "manager: Config.") || !strings.Contains(text, c.field) || !strings.Contains(text, c.fix) {
			t.Errorf("%q: want %q and %q in it", text, c.field, c.fix)
		}
	}
	for what, client := range map[string]redis.UniversalClient{
		"nothing": nil, "a nil Client": (*redis.Client)(nil), "a nil ClusterClient": (*redis.ClusterClient)(nil),
	} {
		if _, err := manager.New(client, nil); err == nil || !strings.Contains(err.Error(), "client is nil") {
			t.Errorf("with %s: %v", what, err)
		}
	}
}

// A pointer to a propagator or a codec of the package does what its value does: the cookie of a Chain travels over plain
// HTTP, a client with a header is answered in a header, and a codec keeps what it accepts.
func TestPointersInTheConfig(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for _, codec := range []manager.Codec{&manager.JSON{}, &manager.Gob{}, &manager.CBOR{}} {
			m := v.manager(func(c *manager.Config) {
				c.Codec, c.Insecure = codec, true
				c.Propagator = &manager.Chain{&manager.Cookie{}, &manager.Header{}}
			})
			key := manager.Key[any]("k")
			res, token := visit(m, m.Handler, "", func(s *manager.Session) { key.Set(s, "hello") })
			if len(res.Cookies()) != 1 || res.Cookies()[0].Name != "session" || res.Cookies()[0].Secure {
				t.Errorf("%T: cookies %v", codec, res.Cookies())
			}
			var got any
			r, rec := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
			r.Header.Set("X-Session-Token", token)
			m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = key.Get(m.Session(r.Context()))
				m.Session(r.Context()).Rotate()
			})).ServeHTTP(rec, r)
			if got != "hello" {
				t.Errorf("%T: read %v", codec, got)
			}
			if header := rec.Result().Header; header.Get("X-Session-Token") == "" || header.Get("Set-Cookie") != "" {
				t.Errorf("%T: the answer to a client with a header: %v", codec, header)
			}
		}
	})
}

// What means off, or is unusual, is taken.
func TestConfigThatIsGood(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for _, cfg := range []*manager.Config{
			nil,
			{Lifetime: -1, IdleTimeout: time.Hour},
			{IdleTimeout: -1, RotateEvery: -1, RotateThreshold: -1},
			{LockWait: -1, MaxHold: -1, CacheBytes: -1, MaxSessionBytes: -1, MaxUserSessions: -1},
			{LockTTL: 30 * time.Millisecond, MaxStaleness: 40 * time.Millisecond},
			{LockWait: math.MaxInt64, MaxHold: math.MaxInt64, MaxCopyAge: math.MaxInt64, MaxStaleness: time.Hour, LockTTL: 24 * time.Hour},
			{MaxWaiters: math.MaxInt64, CacheBytes: math.MaxInt64, MaxSessionBytes: math.MaxInt64, MaxUserSessions: math.MaxInt64},
			{LockWait: 1, MaxHold: 30 * time.Millisecond, MaxCopyAge: 1, CacheBytes: 1, IdleTimeout: time.Millisecond, Timeout: time.Millisecond},
			{Propagator: manager.Cookie{Name: "__host", Insecure: true}},
			{Propagator: manager.Cookie{Domain: "example.com", SameSite: http.SameSiteNoneMode, Partitioned: true}},
			{Insecure: true},
			{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		} {
			m, err := manager.New(v.srv.NewClient(), cfg)
			if err != nil {
				t.Errorf("%+v: %v", cfg, err)
				continue
			}
			v.managers = append(v.managers, m)
		}
	})
}

// A Config is copied: what the caller does with it afterwards changes nothing.
func TestConfigIsCopied(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		key := secretKey(1)
		cfg := configured("copy", func(c *manager.Config) {
			c.TokenKeys, c.EncryptionKeys = [][]byte{key}, [][]byte{key}
		})
		m, err := manager.New(v.srv.NewClient(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		v.managers = append(v.managers, m)
		_, token := visit(m, m.Handler, "", add)
		clear(key)
		cfg.TokenKeys[0], cfg.EncryptionKeys = nil, nil
		cfg.Propagator, cfg.Prefix = manager.Header{}, "other"
		if got := found(m, token); got != 1 {
			t.Errorf("after the Config was changed: %d", got)
		}
	})
}

// Settings at their limits do what they say.
func TestSettingsAtTheirLimits(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.LockWait = math.MaxInt64 })
		for _, idle := range []time.Duration{time.Nanosecond, 999 * time.Microsecond, time.Millisecond, 1500 * time.Microsecond} {
			id, err := m.Create(t.Context(), func(s *manager.Session) error { add(s); s.SetIdleTimeout(idle); return nil })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Millisecond)
			if err := m.View(t.Context(), id, func(*manager.Session) error { return nil }); !errors.Is(err, manager.ErrNotFound) {
				t.Errorf("after an idle timeout of %v: %v", idle, err)
			}
		}
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { add(s); s.SetIdleTimeout(math.MaxInt64) })
		var wg sync.WaitGroup
		for range 3 { // those behind the first wait in a queue whose life follows from LockWait
			wg.Go(func() { visit(m, m.Handler, token, func(s *manager.Session) { time.Sleep(time.Second); add(s) }) })
		}
		other := v.manager(func(c *manager.Config) { c.LockWait = math.MaxInt64 })
		wg.Go(func() { visit(other, other.Handler, token, add) })
		wg.Wait()
		time.Sleep(time.Second)
		if got := found(m, token); got != 5 {
			t.Errorf("count is %d, want 5", got)
		}
	})
}
