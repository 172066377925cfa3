package manager_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/manager"
)

// The address of the client is found in all forms in which proxies write it, and in nothing that a client can write.
func TestAddressBehindProxies(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		trusting := v.manager(trust(t, "10.0.0.0/8", "192.0.2.1/32", "fd00::/8"))
		alone := v.manager()
		const proxy = "192.0.2.1" // which httptest.NewRequest comes from
		commas := strings.Repeat(",", 1<<20)
		for _, c := range []struct {
			xff, forwarded []string
			want           string
		}{
			{[]string{"203.0.113.7:51008"}, nil, "203.0.113.7"}, // Azure Application Gateway
			{[]string{"[2001:db8::7]:51008"}, nil, "2001:db8::7"},
			{[]string{"[2001:db8::7]"}, nil, "2001:db8::7"},
			{[]string{`"2001:db8::7"`}, nil, "2001:db8::7"},
			{[]string{"fe80::1%eth0"}, nil, "fe80::1"},
			{[]string{"evil, 203.0.113.7 ,10.0.0.1:80"}, nil, "203.0.113.7"},
			{[]string{"1.1.1.1", "203.0.113.7, [fd00::1]:80"}, nil, "203.0.113.7"},
			{[]string{`"1.1.1.1, 203.0.113.7`}, nil, "203.0.113.7"}, // a quote that a client has opened
			{[]string{"203.0.113.7:x:y"}, nil, proxy},
			{[]string{"[203.0.113.7"}, nil, proxy},
			{[]string{"unknown"}, nil, proxy},
			{[]string{""}, nil, proxy},
			{[]string{commas + "203.0.113.7"}, nil, "203.0.113.7"},
			{[]string{commas}, nil, proxy},
			{[]string{strings.Repeat("10.0.0.1,", 1<<16) + "10.0.0.2"}, nil, "10.0.0.1"},
			{[]string{strings.Repeat("1", 1<<20)}, nil, proxy},

			{nil, []string{"for=203.0.113.7"}, "203.0.113.7"},
			{nil, []string{`For="203.0.113.7:4711"; proto=https;by=10.0.0.3`}, "203.0.113.7"},
			{nil, []string{`proto=http; for="[2001:db8::7]:4711"`}, "2001:db8::7"},
			{nil, []string{`for=1.1.1.1, for=203.0.113.7;host="a,b", for=10.0.0.1`}, "203.0.113.7"},
			{nil, []string{`for="1.1.1.1`, `for=203.0.113.7`}, "203.0.113.7"},
			{nil, []string{`for="1.1.1.1, for=203.0.113.7`}, "203.0.113.7"},
			{nil, []string{"for=_hidden"}, proxy},
			{nil, []string{"for=unknown, for=10.0.0.1"}, "10.0.0.1"},
			{nil, []string{"proto=https"}, proxy},
			{nil, []string{"203.0.113.7"}, proxy},

			{[]string{"203.0.113.7"}, []string{"for=203.0.113.7"}, "203.0.113.7"},
			{[]string{"203.0.113.7"}, []string{"for=1.1.1.1"}, proxy}, // one of them is the client's own
		} {
			for m, want := range map[*manager.Manager]string{trusting: c.want, alone: proxy} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Header["X-Forwarded-For"], r.Header["Forwarded"] = c.xff, c.forwarded
				rec := httptest.NewRecorder()
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(m.Session(r.Context())) })).ServeHTTP(rec, r)
				visit(m, m.Optimistic, rec.Result().Cookies()[0].Value, func(s *manager.Session) {
					if got := s.Info().RemoteAddr; got != want {
						t.Errorf("%.60q and %q: %s, want %s", c.xff, c.forwarded, got, want)
					}
				})
			}
		}
	})
}

// A value that one Manager has sealed is none of a Manager with another prefix, also with the same keys and name.
func TestSealedValuesKeepToTheirPrefix(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		keys := func(prefix string) func(*manager.Config) {
			return func(c *manager.Config) {
				c.Prefix, c.EncryptionKeys = prefix, [][]byte{[]byte(strings.Repeat("k", 32))}
			}
		}
		shop, same, admin := v.manager(keys("shop")), v.manager(keys("shop")), v.manager(keys("admin"))
		role := manager.Sealed[string]("role")
		rec := httptest.NewRecorder()
		if err := role.Set(shop, rec, "owner", 0); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(rec.Result().Cookies()[0])
		if got, ok := role.Get(same, r); !ok || got != "owner" {
			t.Errorf("with the same prefix: %q, %v", got, ok)
		}
		if got, ok := role.Get(admin, r); ok {
			t.Errorf("with another prefix: %q", got)
		}
	})
}
