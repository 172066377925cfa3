package gorilla_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/manager"
)

// The life of a session, as an application of each framework sees it.
func TestLife(t *testing.T) {
	each(t, func(t *testing.T, s *fixture, _ string) {
		tab := s.browser()
		tab.want("/", "0 true")
		tab.want("/same", "") // n is set to 0, and that is something to store
		tab.want("/add", "1")
		first := tab.token()
		if first == "" {
			t.Fatal("no cookie")
		}
		tab.want("/", "1 false")
		tab.want("/same", "")
		tab.want("/twice", "3")
		tab.want("/notice", "")
		tab.want("/show", "[saved]")
		tab.want("/show", "[]")
		tab.want("/", "3 false")
		if ids := s.stored(); len(ids) != 1 || ids[0] != idOf(first) || tab.token() != first {
			t.Errorf("sessions %v, token first %s and now %s", ids, first, tab.token())
		}
		tab.want("/logout", "")
		if ids := s.stored(); len(ids) != 0 || tab.token() != "" {
			t.Errorf("after the logout: sessions %v, token %q", ids, tab.token())
		}
		tab.want("/", "0 true")
		tab.want("/add", "1")
		tab.want("/relogin", "")
		tab.want("/", "100 false")
		if ids := s.stored(); len(ids) != 1 || ids[0] != idOf(tab.token()) {
			t.Errorf("sessions %v of token %s", ids, tab.token())
		}
	})
}

// A request that has nothing to save stores nothing and sets no cookie, and a second Save in a new session's first
// request belongs to the same session.
func TestNothingIsStoredForNothing(t *testing.T) {
	each(t, func(t *testing.T, s *fixture, _ string) {
		tab := s.browser()
		tab.want("/", "0 true")
		tab.want("/show", "[]")
		tab.want("/logout", "")
		if ids := s.stored(); len(ids) != 0 || tab.token() != "" {
			t.Errorf("sessions %v, token %q", ids, tab.token())
		}
		tab.want("/twice", "2")
		if ids := s.stored(); len(ids) != 1 {
			t.Errorf("sessions %v", ids)
		}
		before := s.m.Stats().Commits
		tab.want("/same", "")
		if n := s.m.Stats().Commits - before; n != 0 {
			t.Errorf("%d commits for a Save without a change", n)
		}
	})
}

// Many tabs add at once. What was acknowledged is there; with the lock of the middleware no request is refused.
func TestNoAcknowledgedUpdateIsLost(t *testing.T) {
	each(t, func(t *testing.T, s *fixture, wrap string) {
		const tabs, rounds = 8, 5
		b := s.browser()
		b.want("/add", "1")
		added := atomic.Int64{}
		added.Add(1)
		var all sync.WaitGroup
		for range tabs {
			all.Go(func() {
				for range rounds {
					switch code, text := b.get("/add"); {
					case code == http.StatusOK:
						added.Add(1)
					case code != http.StatusConflict || wrap != "bare":
						t.Errorf("%d %q", code, text)
					}
				}
			})
		}
		all.Wait()
		b.want("/", strconv.FormatInt(added.Load(), 10)+" false")
		if wrap != "bare" && added.Load() != 1+tabs*rounds {
			t.Errorf("%d updates of %d were made", added.Load(), 1+tabs*rounds)
		}
	})
}

// direct makes a request without a server.
func direct(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

func get(t *testing.T, st *gorilla.Store, r *http.Request, name string) *sessions.Session {
	t.Helper()
	s, err := st.Get(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Two names of one request share a session and keep their values apart, and sessions.Save saves both.
func TestSeveralNames(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, _ *manager.Manager, st *gorilla.Store) {
		r, w := direct(), httptest.NewRecorder()
		user, cart := get(t, st, r, "user"), get(t, st, r, "cart")
		if again := get(t, st, r, "user"); again != user {
			t.Error("another session of the same name")
		}
		user.Values["name"], cart.Values["n"] = "Ann", 2
		if err := sessions.Save(r, w); err != nil {
			t.Fatal(err)
		}
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies %v", cookies)
		}

		r, w = direct(cookies[0]), httptest.NewRecorder()
		user, cart = get(t, st, r, "user"), get(t, st, r, "cart")
		if user.IsNew || user.Values["name"] != "Ann" || len(user.Values) != 1 || cart.Values["n"] != 2 || user.ID == "" || user.ID != cart.ID {
			t.Errorf("user %+v, cart %+v", user, cart)
		}
		user.Options.MaxAge = -1
		cart.Values["n"] = 3
		if err := errors.Join(user.Save(r, w), cart.Save(r, w)); err != nil {
			t.Error(err)
		}
		r = direct(cookies[0])
		user, cart = get(t, st, r, "user"), get(t, st, r, "cart")
		if !user.IsNew || len(user.Values) != 0 || cart.Values["n"] != 3 {
			t.Errorf("user %+v, cart %+v", user, cart)
		}
	})
}

// Between Get and Save, and between two Saves of one request, another request changes the values.
func TestConflict(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, m *manager.Manager, st *gorilla.Store) {
		set := func(r *http.Request, w http.ResponseWriter, s *sessions.Session, n int) error {
			s.Values["n"] = n
			return s.Save(r, w)
		}
		r, w := direct(), httptest.NewRecorder()
		if err := set(r, w, get(t, st, r, "a"), 1); err != nil {
			t.Fatal(err)
		}
		cookie := w.Result().Cookies()[0]

		one, two := direct(cookie), direct(cookie)
		mine, theirs := get(t, st, one, "a"), get(t, st, two, "a")
		if err := set(two, w, theirs, 2); err != nil {
			t.Fatal(err)
		}
		for range 2 { // it does not become right by being repeated
			if err := set(one, w, mine, 3); !errors.Is(err, manager.ErrConflict) {
				t.Errorf("Save after another's: %v, want ErrConflict", err)
			}
		}
		if err := set(two, w, theirs, 4); err != nil {
			t.Errorf("second Save: %v", err)
		}
		three := direct(cookie)
		if err := set(three, w, get(t, st, three, "a"), 5); err != nil {
			t.Fatal(err)
		}
		if err := set(two, w, theirs, 6); !errors.Is(err, manager.ErrConflict) {
			t.Errorf("third Save, after another's: %v, want ErrConflict", err)
		}
		r = direct(cookie)
		if s := get(t, st, r, "a"); s.Values["n"] != 5 {
			t.Errorf("stored %v", s.Values)
		}

		s := get(t, st, r, "a")
		if _, err := m.Revoke(context.Background(), s.ID); err != nil {
			t.Fatal(err)
		}
		if err := set(r, w, s, 7); !errors.Is(err, manager.ErrRemoved) && !errors.Is(err, manager.ErrConflict) {
			t.Errorf("Save after Revoke: %v", err)
		}
		if s := get(t, st, direct(cookie), "a"); !s.IsNew {
			t.Errorf("a revoked session came back: %+v", s)
		}
	})
}

// A login changes the token and binds the user; the old token opens nothing, and saving fails.
func TestLogin(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, m *manager.Manager, st *gorilla.Store) {
		r, w := direct(), httptest.NewRecorder()
		s := get(t, st, r, "a")
		s.Values["n"] = 1
		if err := s.Save(r, w); err != nil {
			t.Fatal(err)
		}
		old := w.Result().Cookies()[0]

		r, w = direct(old), httptest.NewRecorder()
		s = get(t, st, r, "a")
		hs, err := st.Session(r)
		if err != nil {
			t.Fatal(err)
		}
		hs.Rotate()
		hs.BindUser("42")
		if err := s.Save(r, w); err != nil {
			t.Fatal(err)
		}
		cookies := w.Result().Cookies()
		if len(cookies) != 1 || cookies[0].Value == old.Value || idOf(cookies[0].Value) != idOf(old.Value) {
			t.Fatalf("cookies %v", cookies)
		}
		if n, err := m.UserSessions(context.Background(), "42"); err != nil || len(n) != 1 {
			t.Errorf("sessions of the user: %v %v", n, err)
		}
		r, w = direct(old), httptest.NewRecorder()
		s = get(t, st, r, "a")
		if !s.IsNew {
			t.Errorf("the old token opens %+v", s)
		}
		s.Values["n"] = 2
		if err := s.Save(r, w); !errors.Is(err, manager.ErrConflict) {
			t.Errorf("Save with the old token: %v, want ErrConflict", err)
		}
		if set := w.Result().Cookies(); len(set) != 0 {
			t.Errorf("the old token sets %v", set)
		}
	})
}

// With a positive MaxAge the values of the name end by themselves. The first lines save by hand, as other tests here do: that
// is what applications of gorilla write.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, _ *manager.Manager, st *gorilla.Store) {
		st.MaxAge(60)
		r, w := direct(), httptest.NewRecorder()
		s := get(t, st, r, "a")
		s.Values["n"] = 1
		if err := s.Save(r, w); err != nil {
			t.Fatal(err)
		}
		hs, err := st.Session(direct(w.Result().Cookies()[0]))
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := manager.Key[[]byte]("gorilla/a").ExpiresIn(hs); !ok || d.Seconds() < 50 || d.Seconds() > 60 {
			t.Errorf("the values end in %v %v", d, ok)
		}
	})
}

// What was not opened with the request cannot be saved, and what cannot be read is an empty session and an error.
func TestMistakes(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, _ *manager.Manager, st *gorilla.Store) {
		r, w := direct(), httptest.NewRecorder()
		byHand := sessions.NewSession(st, "a")
		byHand.Values["n"] = 1
		if err := byHand.Save(r, w); err == nil {
			t.Error("Save of a session that was not opened: no error")
		}
		s := get(t, st, r, "a")
		if err := byHand.Save(r, w); err == nil {
			t.Error("the same, in a request that has opened another: no error")
		}
		if err := s.Save(direct(), w); err == nil {
			t.Error("Save with another request: no error")
		}
		s.Values["f"] = func() {}
		if err := s.Save(r, w); !errors.Is(err, manager.ErrEncode) {
			t.Errorf("Save of a function: %v, want ErrEncode", err)
		}
		hs, err := st.Session(r)
		if err != nil {
			t.Fatal(err)
		}
		manager.Key[[]byte]("gorilla/a").Set(hs, []byte("no gob"))
		if err := get(t, st, r, "b").Save(r, w); err != nil {
			t.Fatal(err)
		}
		cookie := w.Result().Cookies()[0]
		r = direct(cookie)
		s, err = st.Get(r, "a")
		if !errors.Is(err, manager.ErrDecode) || s == nil || !s.IsNew || s.Values == nil {
			t.Errorf("Get of what is no gob: %+v, %v", s, err)
		}
		s.Values["n"] = 1
		if err := s.Save(r, w); err != nil {
			t.Error(err)
		}
		if s := get(t, st, direct(cookie), "a"); s.Values["n"] != 1 {
			t.Errorf("stored %v", s.Values)
		}
		if _, err := st.Get(direct(), "no good name;"); err == nil {
			t.Error("Get with a bad name: no error")
		}
	})
}

// Under a read-only route Save tells that nothing can be saved.
func TestReadOnlyRoute(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, m *manager.Manager, st *gorilla.Store) {
		m.ReadOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := get(t, st, r, "a")
			if err := s.Save(r, w); err != nil {
				t.Errorf("Save without a change: %v", err)
			}
			s.Values["n"] = 1
			if err := s.Save(r, w); !errors.Is(err, manager.ErrReadOnly) {
				t.Errorf("Save: %v, want ErrReadOnly", err)
			}
		})).ServeHTTP(httptest.NewRecorder(), direct())
	})
}
