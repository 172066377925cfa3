// Package mist_test shows what replaces the calls of dormoron/mist's package session, v0.0.27. That module is not to be
// had from the Go module proxy, so its side stands in comments, as its documentation has it; Holdfast's side runs.
package mist_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// A value of mist has no type, and comes back from its Redis store as a string.
var (
	name  = manager.Key[string]("name")
	count = manager.Key[int]("count")
)

// visits are pages that one browser sees, one after the other.
var visits = []struct {
	name string
	do   func(s *manager.Session) any
	want string
}{
	{
		// s, err := manager.GetSession(ctx)           // an error, for a visitor without a session
		// if err != nil {
		//	s, err = manager.InitSession(ctx)          // stores it and sends the cookie
		// }
		// err = s.Set(ctx.Request.Context(), "name", "Ada")
		name: "the first visit",
		do: func(s *manager.Session) any {
			isNew := s.IsNew()
			name.Set(s, "Ada") // stored and sent with the response
			count.Set(s, 1)
			return isNew
		},
		want: "true",
	},
	{
		// s, err := manager.GetSession(ctx)
		// name, err := s.Get(ctx.Request.Context(), "name")
		// id := s.ID()
		name: "a later one",
		do: func(s *manager.Session) any {
			n, there, err := count.Lookup(s)
			return []any{name.Get(s), n, there, err, s.ID() != ""}
		},
		want: "[Ada 1 true <nil> true]",
	},
	{
		// err := manager.RefreshSession(ctx)          // a longer life, under the same ID
		name: "refresh",
		do: func(s *manager.Session) any {
			s.SetDeadline(time.Now().Add(48 * time.Hour))
			return name.Get(s)
		},
		want: "Ada",
	},
	{
		// s, err := manager.InitSession(ctx)          // a new ID at login, without the values
		name: "log in",
		do: func(s *manager.Session) any {
			s.Rotate() // a new token, with the values
			s.BindUser("42")
			return name.Get(s)
		},
		want: "Ada",
	},
	{
		// err := manager.RemoveSession(ctx)
		name: "log out",
		do:   func(s *manager.Session) any { s.Destroy(); return s.IsNew() },
		want: "true",
	},
	{
		// err := manager.RemoveSession(ctx)           // an error if it has ended, and the cookie stays
		name: "log out again",
		do:   func(s *manager.Session) any { s.Destroy(); return name.Get(s) },
		want: "",
	},
}

// mist's server is an http.Handler, so the middleware goes around all of it:
//
//	server := mist.InitHTTPServer()
//	http.ListenAndServe(addr, m.Handler(server))
//
// and a mist handler finds its session with m.Session(ctx.Request.Context()).
func TestHandlers(t *testing.T) {
	t.Parallel()
	// manager := &session.Manager{Store: store, Propagator: cookie.InitPropagator(), CtxSessionKey: "session"}
	m, err := manager.New(pair.Redis(t).Client(), &manager.Config{Propagator: manager.Cookie{Insecure: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())

	var b pair.Browser
	for _, p := range visits {
		server := pair.Page(func(_ http.ResponseWriter, r *http.Request) any { return p.do(m.Session(r.Context())) })
		if got := b.Get(m.Handler(server), "/").Text; got != p.want {
			t.Errorf("%s: %q, want %q", p.name, got, p.want)
		}
	}
	if b.Cookie("session") != "" {
		t.Error("the cookie is still there after the logout")
	}
}

// mist's Store is public and may be called directly. Holdfast has the same for the server's own use.
func TestByID(t *testing.T) {
	t.Parallel()
	m := pair.Manager(t, pair.Redis(t), manager.Config{})
	ctx := context.Background()

	// s, err := manager.Generate(ctx, id)
	// err = s.Set(ctx, "count", 1)
	id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); return nil })
	if err != nil {
		t.Fatal(err)
	}
	// s, err := manager.Get(ctx, id)
	var n int
	if err := m.View(ctx, id, func(s *manager.Session) error { n = count.Get(s); return nil }); err != nil || n != 1 {
		t.Errorf("found %d, %v", n, err)
	}
	// err := manager.Refresh(ctx, id)
	err = m.Update(ctx, id, func(s *manager.Session) error { s.SetDeadline(time.Now().Add(48 * time.Hour)); return nil })
	if err != nil {
		t.Error(err)
	}
	// err := manager.Store.Remove(ctx, id)
	if n, err := m.Revoke(ctx, id); n != 1 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	if err := m.View(ctx, id, func(*manager.Session) error { return nil }); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("after that: %v", err)
	}
}

// query is a propagator of one's own. The methods are mist's: Extract reports whether there is a token instead of an
// error, and Inject gets how long the client is to keep it.
type query struct{}

var _ manager.Propagator = query{}

func (query) Extract(r *http.Request) (string, bool) {
	token := r.URL.Query().Get("session")
	return token, token != ""
}

func (query) Inject(w http.ResponseWriter, token string, _ time.Time) {
	w.Header().Set("Session", token)
}

func (query) Remove(w http.ResponseWriter) { w.Header().Set("Session", "") }

func TestPropagators(t *testing.T) {
	t.Parallel()
	// func (p query) Inject(id string, writer http.ResponseWriter) error
	// func (p query) Extract(req *http.Request) (string, error)
	// func (p query) Remove(writer http.ResponseWriter) error
	for name, p := range map[string]manager.Propagator{
		"Session":         query{},
		"X-Session-Token": manager.Chain{manager.Header{}, query{}}, // the first that has a token; here for the API
	} {
		w := httptest.NewRecorder()
		p.Inject(w, "token", time.Now().Add(time.Hour))
		if got := w.Result().Header.Get(name); got != "token" {
			t.Errorf("%s is %q", name, got)
		}
		r := httptest.NewRequest(http.MethodGet, "/?session=token", nil)
		if token, ok := p.Extract(r); !ok || token != "token" {
			t.Errorf("extracted %q, %v", token, ok)
		}
		w = httptest.NewRecorder()
		p.Remove(w)
		if got := w.Result().Header.Get(name); got != "" {
			t.Errorf("after Remove %s is %q", name, got)
		}
	}
}
