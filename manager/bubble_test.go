package manager_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// bubble runs a test in virtual time, with an embedded Redis whose clock is the bubble's.
func bubble(t *testing.T, fn func(t *testing.T, v *virtual)) {
	t.Helper()
	redistest.Bubble(t, func(t *testing.T, srv *embedded.Server) {
		v := &virtual{t: t, srv: srv}
		fn(t, v)
		for _, m := range v.managers {
			if err := m.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
}

// virtual is a bubble's Redis and the replicas on it.
type virtual struct {
	t        *testing.T
	srv      *embedded.Server
	managers []*manager.Manager
}

func (v *virtual) manager(change ...func(*manager.Config)) *manager.Manager {
	v.t.Helper()
	return v.managerOn(v.srv.NewClient(), change...)
}

func (v *virtual) managerOn(client redis.UniversalClient, change ...func(*manager.Config)) *manager.Manager {
	v.t.Helper()
	// Hours of virtual time have many probes in them; rarer ones do as well here. Locks are renewed before MaxHold ends them.
	rare := func(c *manager.Config) { c.MaxStaleness, c.LockTTL = 10*time.Minute, 20*time.Second }
	m, err := manager.New(client, configured("", append([]func(*manager.Config){rare}, change...)...))
	if err != nil {
		v.t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	return m
}

// visit makes a request without a network. It sends the token, if it is not empty, and returns the response with the
// token that the client has afterwards.
func visit(m *manager.Manager, mw func(http.Handler) http.Handler, token string, do func(*manager.Session)) (*http.Response, string) {
	h := mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(m.Session(r.Context())) }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	res := rec.Result()
	for _, c := range res.Cookies() {
		if c.Name == "session" {
			token = c.Value
		}
	}
	return res, token
}

func add(s *manager.Session) { count.Set(s, count.Get(s)+1) }

func nothing(*manager.Session) {}

// found returns the count that a read-only visit sees, 0 if the session is gone.
func found(m *manager.Manager, token string) (n int) {
	visit(m, m.ReadOnly, token, func(s *manager.Session) { n = count.Get(s) })
	return n
}
