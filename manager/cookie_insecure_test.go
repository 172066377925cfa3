package manager_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/logtest"
	"github.com/holdfast-go/holdfast/manager"
)

// Config.Insecure holds for every cookie that a Manager sets, even if the propagator was set explicitly. What browsers would not take
// is refused by New.
func TestInsecureAppliesToEveryCookie(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, p := range map[string]manager.Propagator{
			"the default": nil, "a cookie": manager.Cookie{Name: "sid"}, "a pointer": &manager.Cookie{Path: "/app"},
			"a chain":           manager.Chain{manager.Cookie{}, manager.Header{}},
			"a chain in one":    manager.Chain{manager.Chain{manager.Cookie{}}},
			"insecure as it is": manager.Cookie{Insecure: true},
		} {
			m := v.manager(func(c *manager.Config) { c.Propagator = p })
			rec := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(m.Session(r.Context())) })).
				ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
			if c := rec.Result().Cookies(); len(c) != 1 || c[0].Secure || strings.HasPrefix(c[0].Name, "__") {
				t.Errorf("%s: %v", what, c)
			}
		}
		_, err := manager.New(v.srv.NewClient(), &manager.Config{Insecure: true, Propagator: manager.Cookie{Name: "__Host-sid"}})
		if err == nil || !strings.Contains(err.Error(), "Cookie.Name") {
			t.Errorf("a __Host- cookie over plain HTTP: %v", err)
		}
	})
}

// A cookie that browsers drop is logged once, with what to do; one that they take is not.
func TestSecureCookieOverPlainHTTP(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, tt := range map[string]struct {
			carrier manager.Propagator
			change  func(*http.Request)
			warns   int
		}{
			"plain":              {manager.Cookie{}, func(*http.Request) {}, 1},
			"plain, in a chain":  {manager.Chain{manager.Header{}, manager.Cookie{}}, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-session", Value: "x"}) }, 1},
			"HTTPS":              {manager.Cookie{}, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, 0},
			"HTTPS at the proxy": {manager.Cookie{}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, 0},
			"the same, RFC 7239": {manager.Cookie{}, func(r *http.Request) { r.Header.Set("Forwarded", `for=1.2.3.4;Proto=https`) }, 0},
			"an insecure cookie": {manager.Cookie{Insecure: true}, func(*http.Request) {}, 0},
			"a header":           {manager.Header{}, func(*http.Request) {}, 0},
		} {
			logs := &logtest.Recorder{}
			m := v.manager(func(c *manager.Config) { c.Insecure, c.Propagator, c.Logger = false, tt.carrier, slog.New(logs) })
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				tt.change(r)
				m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(m.Session(r.Context())) })).ServeHTTP(httptest.NewRecorder(), r)
			}
			if got := strings.Count(logs.Text(), "Secure cookie"); got != tt.warns {
				t.Errorf("%s: logged %d times, want %d", what, got, tt.warns)
			}
		}
	})
}
