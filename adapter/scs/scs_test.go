package scs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/adapter/scs"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// on returns a SessionManager on a Redis of the tests.
func on(t *testing.T, b redistest.Backend, rdb redis.UniversalClient) *scs.SessionManager {
	t.Helper()
	s := scs.New(rdb)
	s.Config.Prefix = b.Prefix
	s.Config.LockTTL, s.Config.LockWait = 30*time.Second, 2*time.Minute // for a machine that stands still for seconds
	s.Config.Logger = slog.New(slog.DiscardHandler)
	closing(t, s)
	return s
}

// counter serves a page that counts, and one that does not use its session.
func counter(s *scs.SessionManager) http.Handler {
	return s.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/add":
			fmt.Fprint(w, count(s, r.Context()))
		case "/read":
			fmt.Fprint(w, s.GetInt(r.Context(), "n"))
		}
	}))
}

// Many tabs at two replicas: nothing is lost, and no request is refused.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		one, two := counter(on(t, b, b.Client(t))), counter(on(t, b, b.Client(t)))
		turn := make(chan http.Handler, 2)
		turn <- one
		turn <- two
		tab := visit(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := <-turn
			turn <- h
			h.ServeHTTP(w, r)
		}))
		tab.post("/add", nil)
		const tabs, rounds = 8, 5
		var all sync.WaitGroup
		for range tabs {
			all.Go(func() {
				for range rounds {
					if r := tab.post("/add", nil); r.status != http.StatusOK {
						t.Error(r)
					}
				}
			})
		}
		all.Wait()
		if r := tab.get("/read"); r.body != fmt.Sprint(1+tabs*rounds) {
			t.Errorf("counted %s of %d", r.body, 1+tabs*rounds)
		}
	})
}

// What a request costs on the wire. The tests of adapter/gorilla and of the example nethttp, in other modules, count alike.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		tap := b.Tap(t)
		tap.IgnoreBackground()
		tab := visit(t, counter(on(t, b, b.TapClient(t, tap))))
		for _, path := range []string{"/add", "/read", "/add", "/read", "/add"} { // the server learns the scripts
			tab.get(path)
		}
		for _, c := range []struct {
			method, path string
			most         int
		}{{http.MethodGet, "/none", 0}, {http.MethodPost, "/add", 2}, {http.MethodGet, "/read", 2}} {
			least := 99
			for range 3 { // on a slow machine a request may also have to renew its lock
				tap.Reset()
				tab.do(c.method, c.path, nil)
				least = min(least, tap.Trips())
			}
			if least > c.most {
				t.Errorf("%s %s: %d round trips: %v", c.method, c.path, least, tap.Commands())
			}
		}
	})
}

// Two SessionManagers serve one request, and their cookies keep them apart on one Redis.
func TestSeveralManagers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		rdb := b.Client(t)
		app, ads := scs.New(rdb), scs.New(rdb)
		for name, s := range map[string]*scs.SessionManager{b.Prefix + "app": app, b.Prefix + "ads": ads} {
			s.Cookie.Name = strings.NewReplacer(":", "", "/", "", "{", "", "}", "").Replace(name)
			s.Config.Logger = slog.New(slog.DiscardHandler)
			closing(t, s)
		}
		tab := visit(t, app.LoadAndSave(ads.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ads.Put(r.Context(), "n", ads.GetInt(r.Context(), "n")+9)
			fmt.Fprint(w, count(app, r.Context()), count(ads, r.Context()))
		}))))
		for _, want := range []string{"1 10", "2 20"} {
			if r := tab.get("/"); r.body != want {
				t.Errorf("%v, want %s", r, want)
			}
		}
	})
}

// Settings that cannot work are named, at the first use and by Manager, and logged once.
func TestBadSettings(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(*scs.SessionManager){
		"Lifetime":        func(s *scs.SessionManager) { s.Lifetime = -time.Second },
		"Codec":           func(s *scs.SessionManager) { s.Codec = nil },
		"Cookie.Name":     func(s *scs.SessionManager) { s.Cookie.Name = "" },
		"Cookie.Path":     func(s *scs.SessionManager) { s.Cookie.Path = "" },
		"Cookie.SameSite": func(s *scs.SessionManager) { s.Cookie.SameSite = http.SameSiteNoneMode },
		"set Lifetime":    func(s *scs.SessionManager) { s.Config.Insecure = true },
		"LockTTL":         func(s *scs.SessionManager) { s.Config.LockTTL = 1 },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			var log bytes.Buffer
			s.Config.Logger = slog.New(slog.NewTextHandler(&log, nil))
			var got error
			s.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
				got = err
				w.WriteHeader(http.StatusTeapot)
			}
			set(s)
			h := s.LoadAndSave(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }))
			for range 2 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
				if w.Code != http.StatusTeapot {
					t.Errorf("got %d", w.Code)
				}
			}
			_, err := s.Manager()
			_, loading := s.Load(context.Background(), "")
			for _, err := range []error{got, err, loading, s.Iterate(context.Background(), nil)} {
				if err == nil || !strings.HasPrefix(err.Error(), "scs: ") || !strings.Contains(err.Error(), want) {
					t.Errorf("%v", err)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, &log)
			}
		})
	}
}

// Fields are the Manager's settings at the first use, not at New.
func TestFieldsAfterNew(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := counter(s)
	s.Lifetime, s.Cookie.Name, s.Cookie.Path = time.Hour, "late", "/app"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/add", nil))
	c := w.Result().Cookies()
	if len(c) != 1 || c[0].Name != "late" || c[0].Path != "/app" || c[0].MaxAge > 3600 || c[0].MaxAge < 3590 || c[0].Secure {
		t.Errorf("cookies %v", c)
	}
	if vary := w.Result().Header.Values("Vary"); len(vary) != 1 || vary[0] != "Cookie" {
		t.Errorf("Vary: %q", vary)
	}
}

// A connection that lives for long commits many times, and sees what others do in between.
func TestManyCommits(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx := loaded(s, "")
	token := ""
	for i := range 3 {
		count(s, ctx)
		var err error
		if token, _, err = s.Commit(ctx); err != nil || token == "" || s.Token(ctx) != token {
			t.Fatalf("commit %d: %q, %q, %v", i, token, s.Token(ctx), err)
		}
		other := loaded(s, token)
		count(s, other)
		if _, _, err := s.Commit(other); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.GetInt(ctx, "n"); n != 6 {
		t.Errorf("counted %d of 6", n)
	}
	if err := s.RenewToken(ctx); err != nil {
		t.Fatal(err)
	}
	renewed, _, err := s.Commit(ctx)
	if err != nil || renewed == token || s.GetInt(ctx, "n") != 6 {
		t.Errorf("renewed: %q of %q, %d, %v", renewed, token, s.GetInt(ctx, "n"), err)
	}
	if s.Exists(loaded(s, token), "n") {
		t.Error("the old token opens the session")
	}
	if err := s.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	if token, expiry, err := s.Commit(ctx); token != "" || !expiry.IsZero() || err != nil {
		t.Errorf("destroyed: %q, %v, %v", token, expiry, err)
	}
	if s.Exists(ctx, "n") || s.Exists(loaded(s, renewed), "n") {
		t.Error("the session came back")
	}
}

// Load outside of LoadAndSave, and what it writes is in the response.
func TestLoadThenLoadAndSave(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := counter(s)
	tab := visit(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := ""
		if c, err := r.Cookie("session"); err == nil {
			token = c.Value
		}
		ctx, err := s.Load(r.Context(), token)
		if err != nil {
			t.Error(err)
		}
		if again, err := s.Load(ctx, "another"); again != ctx || err != nil {
			t.Errorf("a second Load: %v", err)
		}
		s.Put(ctx, "n", s.GetInt(ctx, "n")+10)
		h.ServeHTTP(w, r.WithContext(ctx))
	}))
	for _, want := range []string{"11", "22"} {
		if r := tab.post("/add", nil); r.body != want {
			t.Errorf("%v, want %s", r, want)
		}
	}
}

// Sessions are ended from within a request, the request's own among them.
func TestIterateInARequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	tab := visit(t, s.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		switch r.URL.Path {
		case "/end":
			n := 0
			err := s.Iterate(ctx, func(ctx context.Context) error {
				n++
				return s.Destroy(ctx)
			})
			fmt.Fprint(w, n, " ", err)
		case "/stop":
			stop := errors.New("stop")
			err := s.Iterate(ctx, func(ctx context.Context) error { s.Put(ctx, "n", 0); return stop })
			fmt.Fprint(w, err == stop, s.GetInt(ctx, "n")) //nolint:errorlint // it is returned as it is
		default:
			fmt.Fprint(w, count(s, ctx))
		}
	})))
	other := loaded(s, "")
	s.Put(other, "n", 1)
	token, _, err := s.Commit(other)
	if err != nil {
		t.Fatal(err)
	}
	tab.post("/", nil)
	for _, step := range [][2]string{{"/end", "2 <nil>"}, {"/", "1"}, {"/end", "1 <nil>"}} {
		if r := tab.post(step[0], nil); r.body != step[1] {
			t.Errorf("%s: %v, want %s", step[0], r, step[1])
		}
	}
	if s.Exists(loaded(s, token), "n") {
		t.Error("the other session lives")
	}
}

// Handlers are rewritten one by one: a manager.Key and Put know the same values.
func TestKeysOfTheManager(t *testing.T) {
	t.Parallel()
	s := start(t)
	m, err := s.Manager()
	if err != nil {
		t.Fatal(err)
	}
	ctx := loaded(s, "")
	hs := m.Session(ctx)
	s.Put(ctx, "pen", pen{"red", []int{1}})
	manager.Key[int]("n").Set(hs, 4)
	if got := manager.Key[pen]("pen").Get(hs); got.Color != "red" {
		t.Errorf("a Key reads %+v", got)
	}
	if got := s.GetInt(ctx, "n"); got != 4 {
		t.Errorf("Get reads %d", got)
	}
	if _, ok, err := manager.Key[string]("n").Lookup(hs); !ok || !errors.Is(err, manager.ErrDecode) {
		t.Errorf("another type: %v %v", ok, err)
	}
}

// Of goroutines that pop at once one gets the value, and what cannot be decoded stays.
func TestPopOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := visit(t, s.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		switch r.URL.Path {
		case "/put":
			s.Put(ctx, "note", "hello")
			s.Put(ctx, "list", []int{1})
			broken(s, ctx)
		case "/pop":
			var got atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if s.PopString(ctx, "note") == "hello" {
						got.Add(1)
					}
					if list, _ := s.Pop(ctx, "list").([]int); len(list) == 1 {
						got.Add(100)
					}
				})
			}
			all.Wait()
			fmt.Fprint(w, got.Load(), s.Pop(ctx, "old"))
		case "/keys":
			fmt.Fprint(w, s.Keys(ctx))
		}
	})))
	b.post("/put", nil)
	if got := b.post("/pop", nil); got.body != "101 <nil>" {
		t.Errorf("popped %v, want each once", got)
	}
	if got := b.get("/keys"); got.body != "[old]" { // a release that can decode it finds it
		t.Errorf("left %v", got)
	}
}

// Without LoadAndSave there is no session, and that is a mistake of the program.
func TestOutside(t *testing.T) {
	t.Parallel()
	s := start(t)
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "LoadAndSave") {
			t.Errorf("it says %q", text)
		}
	}()
	s.Put(context.Background(), "n", 1)
}

// A value that cannot be encoded fails the commit, and the error names the application's type, not its value.
func TestErrorsNameTheApplicationsType(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		type unregistered struct{ Secret string }
		s := on(t, b, b.Client(t))
		ctx, err := s.Load(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.Put(ctx, "x", unregistered{"s3cr3t"})
		_, _, err = s.Commit(ctx)
		if !errors.Is(err, manager.ErrEncode) || !strings.Contains(err.Error(), "scs_test.unregistered") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("got %v", err)
		}
	})
}
