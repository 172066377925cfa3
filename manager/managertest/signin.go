package managertest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/manager"
)

// SignIn stores a session that is bound to the user and filled by fn, and returns the cookie that
// opens it, as a browser gets it at a login. Add it to the requests of the test. A nil fn stores
// nothing more. With an empty user the session is a visitor's, and fn must store something.
//
//	req.AddCookie(managertest.SignIn(t, m, "42", func(s *manager.Session) { Cart.Set(s, full) }))
//
// The test fails at once if the session cannot be stored, or if the Propagator of m does not answer
// with a cookie that opens it: a Header carries the token in a header, and a Chain answers a new
// client by its first way. In these cases use Manager.Load and Manager.Commit, which return the
// token itself.
func SignIn(t testing.TB, m *manager.Manager, user string, fn func(*manager.Session)) *http.Cookie { //nolint:thelper // the name that users know
	t.Helper()
	w := httptest.NewRecorder()
	ctx, err := m.LoadRequest(request(t), manager.Exclusive)
	if err != nil {
		t.Fatalf("managertest.SignIn: %v", err)
	}
	defer m.Discard(ctx)
	s := m.Session(ctx)
	s.BindUser(user)
	if fn != nil {
		fn(s)
	}
	bound, status := s.User(), s.Status()
	switch err := m.CommitResponse(ctx, w); {
	case err != nil:
		t.Fatalf("managertest.SignIn: %v", err)
	case bound != user:
		t.Fatalf("managertest.SignIn: fn left the session to user %q, not %q; pass the user that it is to have", bound, user)
	case status != manager.Modified:
		t.Fatalf("managertest.SignIn: nothing was stored (user %q, session %v); pass a user, or an fn that stores something", user, status)
	}
	for _, c := range w.Result().Cookies() {
		if opens(t, m, c, s.ID()) {
			return c
		}
	}
	t.Fatal("managertest.SignIn: Config.Propagator answered with no cookie that opens the session; " +
		"use Manager.Load and Manager.Commit, which return the token itself")
	return nil
}

// opens reports whether a request with the cookie finds the session.
func opens(tb testing.TB, m *manager.Manager, c *http.Cookie, id string) bool {
	tb.Helper()
	r := request(tb)
	r.AddCookie(c)
	ctx, err := m.LoadRequest(r, manager.ReadOnly)
	if err != nil {
		tb.Fatalf("managertest.SignIn: %v", err)
	}
	defer m.Discard(ctx)
	s := m.Session(ctx)
	return !s.IsNew() && s.ID() == id
}

func request(tb testing.TB) *http.Request {
	tb.Helper()
	return httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "https://example.com/", nil)
}
