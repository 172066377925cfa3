package manager_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Logging out works although a second cookie of the name was planted: the cookie goes, and with it every session whose
// token the client sent. Where that cannot be done, the response is no success.
func TestLogoutWithAPlantedCookie(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, carrier := range map[string]manager.Propagator{
			"a cookie": nil, "a chain": manager.Chain{manager.Header{}, manager.Cookie{}},
			"a chain in a chain": manager.Chain{manager.Header{}, manager.Chain{manager.Cookie{}}},
		} {
			for how, wrap := range map[string]func(*manager.Manager) func(http.Handler) http.Handler{
				"exclusive":  func(m *manager.Manager) func(http.Handler) http.Handler { return m.Handler },
				"optimistic": func(m *manager.Manager) func(http.Handler) http.Handler { return m.Optimistic },
				"lazy":       func(m *manager.Manager) func(http.Handler) http.Handler { return m.Lazy },
			} {
				m := v.manager(func(c *manager.Config) { c.Propagator = carrier })
				begin := func() string {
					ctx, err := m.Load(t.Context(), "")
					if err != nil {
						t.Fatal(err)
					}
					add(m.Session(ctx))
					token, _, err := m.Commit(ctx)
					if err != nil {
						t.Fatal(err)
					}
					return token
				}
				for _, c := range []planted{
					{[]string{"x"}, 200},
					{[]string{""}, 200},
					{[]string{begin()}, 200},
					{[]string{begin(), "junk", begin()}, 200},
					{strings.Split(strings.Repeat("junk ", 50)+"x", " "), 200},
					{[]string{begin(), begin(), begin(), begin(), begin(), begin(), begin(), begin()}, 500},
				} {
					if err := c.logout(t, m, wrap(m), begin()); err != nil {
						t.Errorf("%s, %s, with %.40q planted: %v", what, how, c.cookies, err)
					}
				}
			}
		}
	})
}

// planted are the values of cookies that somebody else has set, and what a logout is answered.
type planted struct {
	cookies []string
	status  int
}

// logout ends the session of a token, which the client sends behind the planted cookies. None of these sessions may live on.
func (p planted) logout(t *testing.T, m *manager.Manager, wrap func(http.Handler) http.Handler, own string) error {
	t.Helper()
	tokens := append(slices.Clone(p.cookies), own)
	r := httptest.NewRequest(http.MethodPost, "/logout", nil)
	for _, value := range tokens {
		r.AddCookie(&http.Cookie{Name: "session", Value: value})
	}
	rec := httptest.NewRecorder()
	wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.Session(r.Context()).Destroy()
		w.WriteHeader(http.StatusOK)
	})).ServeHTTP(rec, r)
	res := rec.Result()
	if res.StatusCode != p.status {
		return fmt.Errorf("status %d, want %d", res.StatusCode, p.status)
	}
	if p.status != http.StatusOK {
		return nil
	}
	if got := res.Cookies(); len(got) != 1 || got[0].MaxAge >= 0 {
		return fmt.Errorf("the cookie stays: %v", got)
	}
	for _, token := range tokens {
		ctx, err := m.Load(t.Context(), token)
		if err != nil {
			return err
		}
		if !m.Session(ctx).IsNew() {
			return errors.New("a session outlived the logout")
		}
		m.Discard(ctx)
	}
	return nil
}

// A chain takes cookies of two names, as while a cookie is renamed, and one of them was planted. The planted one is used, and
// logging out ends the session of the other as well.
func TestLogoutWithAPlantedCookieOfAnotherName(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) {
			c.Propagator = manager.Chain{manager.Cookie{}, manager.Cookie{Name: "former"}}
		})
		_, own := visit(m, m.Handler, "", add)
		_, planted := visit(m, m.Handler, "", add)
		former := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.AddCookie(&http.Cookie{Name: "former", Value: own})
				m.Handler(next).ServeHTTP(w, r)
			})
		}
		res, _ := visit(m, former, planted, func(s *manager.Session) {
			if got := count.Get(s); got != 1 {
				t.Errorf("the session has %d", got)
			}
			s.Destroy()
		})
		if got := res.Cookies(); res.StatusCode != http.StatusOK || len(got) != 1 || got[0].MaxAge >= 0 {
			t.Errorf("status %d, cookies %v", res.StatusCode, got)
		}
		for _, token := range []string{own, planted} {
			if got := found(m, token); got != 0 {
				t.Error("a session outlived the logout")
			}
		}
	})
}

// A session without an end of its own outlives its cookie, which browsers keep for 400 days: the cookie is renewed when
// a tenth of its life is over, by whatever request may write, and then not again for as long.
func TestCookieIsRenewedForASessionWithoutEnd(t *testing.T) {
	const day = 24 * time.Hour
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) {
			c.Lifetime, c.IdleTimeout = -1, 100*day
			c.CacheBytes = -1 // copies would not know what the test does in Redis
		})
		rdb := v.srv.NewClient()
		older := func(token string, by time.Duration) { // the time at which its secret was issued
			for _, key := range keysOf(t, rdb, "holdfast") {
				if strings.HasSuffix(key, "{"+idOf(token)+"}") {
					if err := rdb.HIncrBy(t.Context(), key, "s", -by.Milliseconds()).Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		read := func(s *manager.Session) { count.Get(s) }
		ends := func(after time.Duration) func(*manager.Session) {
			return func(s *manager.Session) { add(s); s.SetDeadline(time.Now().Add(after)) }
		}
		type client struct {
			what, token string
			begin, do   func(*manager.Session)
			wrap        func(http.Handler) http.Handler
			renewed     bool
		}
		clients := []*client{
			{"reads", "", add, read, m.Handler, true},
			{"writes", "", add, add, m.Handler, true},
			{"optimistic", "", add, read, m.Optimistic, true},
			{"read-only", "", add, read, m.ReadOnly, false},
			{"ends far away", "", ends(2000 * day), read, m.Handler, true},
			{"ends before it", "", ends(300 * day), read, m.Handler, false},
			{"of the browser", "", func(s *manager.Session) { add(s); s.Remember(false) }, read, m.Handler, false},
		}
		for _, c := range clients {
			_, c.token = visit(m, m.Handler, "", c.begin)
		}
		check := func(c *client, when string, want bool) {
			t.Helper()
			res, token := visit(m, c.wrap, c.token, c.do)
			if got := res.Cookies(); (len(got) == 1 && got[0].MaxAge == int(400*day/time.Second)) != want || token != c.token {
				t.Errorf("%s, %s: %v, want renewed %v", c.what, when, got, want)
			}
		}
		for _, c := range clients {
			older(c.token, 39*day)
			check(c, "after 39 days", false)
			older(c.token, day)
			check(c, "after 40 days", c.renewed)
			if c.renewed {
				check(c, "at once after that", false)
				time.Sleep(time.Hour)
				check(c, "an hour later", false)
			}
			visit(m, m.ReadOnly, c.token, func(s *manager.Session) {
				if s.IsNew() || s.Info().RemoteAddr != "192.0.2.1" {
					t.Errorf("%s: what is known of the client is lost: %+v", c.what, s.Info())
				}
			})
		}
	})
}
