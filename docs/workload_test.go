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
	cfg := &manager.Config{
		Insecure: true, IdleTimeout: time.Hour, MaxUserSessions: 2, Logger: slog.New(slog.DiscardHandler),
		LockTTL: 9 * time.Second, LockWait: time.Minute, // a machine may stand still; the workload waits for one renewal
	}
	var urls []string
	var replicas []*manager.Manager
	for range 2 {
		m, err := manager.New(newClient(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer closeReplica(t, m)
		srv := httptest.NewServer(application(t, m))
		defer srv.Close()
		replicas, urls = append(replicas, m), append(urls, srv.URL)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	visitEverything(t, tr, urls)
	m := replicas[0]
	list, err := m.UserSessions(t.Context(), "ada")
	if err != nil || len(list) != cfg.MaxUserSessions {
		t.Errorf("UserSessions: %d, %v", len(list), err)
	}
	visitor := newVisitor(tr, urls)
	visitor.must(t, 0, "/add")
	visitor.must(t, 0, "/peek") // from the copy: Redis hears of it when the Manager is closed
	visitor.must(t, 0, "/forever")
	id := callEverything(t, replicas, admin)
	visitor.must(t, 1, "/logout")
	if _, err := m.Revoke(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// closeReplica has the last words of a replica said before Redis is asked what it has heard.
func closeReplica(t *testing.T, m *manager.Manager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Error(err)
	}
}

// visitEverything makes the requests of a session that is logged in, and of more logins than the user may have.
func visitEverything(t *testing.T, tr *http.Transport, urls []string) {
	t.Helper()
	visitor := newVisitor(tr, urls)
	visitor.must(t, 0, "/add")
	visitor.must(t, 1, "/add")
	visitor.must(t, 0, "/peek")
	visitor.must(t, 1, "/optimistic")
	visitor.must(t, 0, "/login")
	for range 2 {
		newVisitor(tr, urls).must(t, 1, "/login")
	}
}

// callEverything calls what there is without a request, and returns the ID of a session that was revoked.
func callEverything(t *testing.T, replicas []*manager.Manager, admin redis.UniversalClient) (id string) {
	t.Helper()
	ctx, m := t.Context(), replicas[0]
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
	return id
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

// visitor is a browser. Which replica it visits is up to the test.
type visitor struct {
	client *http.Client
	urls   []string // of the replicas
}

func newVisitor(tr *http.Transport, urls []string) visitor {
	jar, _ := cookiejar.New(nil) // never fails
	return visitor{&http.Client{Jar: jar, Transport: tr}, urls}
}

// must visits a path of a replica, which must answer with 200.
func (v visitor) must(t *testing.T, replica int, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.urls[replica]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d", path, resp.StatusCode)
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
		wait.Until(t, "a waiter that gives up", func() bool { // on a busy machine, only after it has begun to wait
			short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			return errors.Is(replicas[1].Update(short, id, nothing), manager.ErrLockTimeout)
		})
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
