package docs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// doEverything uses what a Manager has, on two replicas.
func doEverything(t *testing.T, newClient func() redis.UniversalClient, admin redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	cfg := &manager.Config{
		Insecure: true, IdleTimeout: time.Hour, LockTTL: 3 * time.Second, MaxUserSessions: 2,
		Logger: slog.New(slog.DiscardHandler),
	}
	var replicas []*manager.Manager
	for range 2 {
		m, err := manager.New(newClient(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := m.Close(ctx); err != nil {
				t.Error(err)
			}
		}()
		replicas = append(replicas, m)
	}
	var urls []string
	for _, m := range replicas {
		srv := httptest.NewServer(application(t, m))
		defer srv.Close()
		urls = append(urls, srv.URL)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	visit := newVisitor(tr, urls)
	must := func(replica int, path string) {
		t.Helper()
		if status := visit(ctx, replica, path); status != http.StatusOK {
			t.Fatalf("%s: got %d", path, status)
		}
	}
	must(0, "/add")
	must(1, "/add")
	must(0, "/peek")
	must(1, "/optimistic")
	must(0, "/login")
	for range 2 { // one more than the user may have
		if status := newVisitor(tr, urls)(ctx, 1, "/login"); status != http.StatusOK {
			t.Errorf("login: got %d", status)
		}
	}
	m := replicas[0]
	list, err := m.UserSessions(ctx, "ada")
	if err != nil || len(list) != cfg.MaxUserSessions {
		t.Errorf("UserSessions: %d, %v", len(list), err)
	}
	visit = newVisitor(tr, urls)
	must(0, "/add")
	must(0, "/peek") // from the copy: Redis hears of it when the Manager is closed
	must(0, "/forever")
	id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); s.BindUser("ada"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	contend(t, replicas, admin, id)
	if err := m.View(ctx, id, func(*manager.Session) error { return nil }); err != nil {
		t.Error(err)
	}
	for _, err := range m.All(ctx) {
		if err != nil {
			t.Error(err)
		}
	}
	if n, err := m.RevokeUser(ctx, "ada"); err != nil || n == 0 {
		t.Errorf("RevokeUser: %d, %v", n, err)
	}
	must(1, "/logout")
	if _, err := m.Revoke(ctx, id); err != nil {
		t.Error(err)
	}
}

// The keys of the application.
var (
	count = manager.Key[int]("count")
	code  = manager.Key[string]("code")
	other = manager.Key[bool]("other")
)

// application has a route for each thing that a request can do with its session.
func application(t *testing.T, m *manager.Manager) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /add", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		n := count.Get(s) + 1
		count.Set(s, n)
		code.SetFor(s, "1234", time.Minute)
		if n > 1 {
			code.Delete(s)
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.Rotate()
		s.BindUser("ada")
	})
	mux.HandleFunc("GET /forever", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.SetIdleTimeout(time.Minute)
		s.SetDeadline(time.Time{})
		s.BindUser("forever")
	})
	mux.Handle("GET /peek", m.ReadOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, count.Get(m.Session(r.Context())))
	})))
	mux.Handle("GET /optimistic", m.Optimistic(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		code.Set(s, fmt.Sprint(count.Get(s)))
		err := m.Update(r.Context(), s.ID(), func(s *manager.Session) error { other.Set(s, true); return nil })
		if err != nil {
			t.Errorf("while an optimistic request is under way: %v", err)
		}
	})))
	mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) { m.Session(r.Context()).Destroy() })
	root := http.NewServeMux()
	root.Handle("/peek", mux)
	root.Handle("/optimistic", mux)
	root.Handle("/", m.Handler(mux))
	return root
}

// newVisitor returns a function that visits a path of a replica as a browser of its own does, and returns the status: 0
// if there was no answer.
func newVisitor(tr *http.Transport, urls []string) func(ctx context.Context, replica int, path string) int {
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Transport: tr}
	return func(ctx context.Context, replica int, path string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, urls[replica]+path, nil)
		if err != nil {
			return 0
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
}

// contend holds a session on one replica until its lock was renewed, while one request of the other replica waits for it
// and gets it, and another one gives up.
func contend(t *testing.T, replicas []*manager.Manager, admin redis.UniversalClient, id string) {
	t.Helper()
	ctx := t.Context()
	key := "holdfast:{" + id + "}"
	nothing := func(*manager.Session) error { return nil }
	waiter := make(chan error, 1)
	err := replicas[0].Update(ctx, id, func(*manager.Session) error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := replicas[1].Update(short, id, nothing); !errors.Is(err, manager.ErrLockTimeout) {
			t.Errorf("a waiter that gives up: %v", err)
		}
		go func() { waiter <- replicas[1].Update(ctx, id, nothing) }()
		wait.Until(t, "a waiter", func() bool { return admin.LLen(ctx, key+":queue").Val() == 1 })
		least := time.Hour
		wait.Until(t, "the lock renewed", func() bool {
			ttl := admin.PTTL(ctx, key+":lock").Val()
			least = min(least, ttl)
			return ttl > least+100*time.Millisecond
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-waiter; err != nil {
		t.Errorf("a waiter: %v", err)
	}
}
