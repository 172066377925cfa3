package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
)

// holdfast runs the program with the arguments and an environment that is empty.
func holdfast(ctx context.Context, args ...string) (status int, out, errs string) {
	return with{}.holdfast(ctx, args...)
}

// with is what the program has of the world around it.
type with struct {
	in  io.Reader
	env map[string]string
}

func (w with) holdfast(ctx context.Context, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	if w.in == nil {
		w.in = strings.NewReader("")
	}
	status = run(ctx, args, process{in: w.in, out: &o, errs: &e, env: func(name string) string { return w.env[name] }})
	return status, o.String(), e.String()
}

// callTime is the longest limit for a call that an application may have.
const callTime = 10 * time.Second

// The keys of the applications in these tests.
var (
	name = manager.Key[string]("name")
	note = manager.Key[string]("note")
)

// app is an application with sessions in a Redis.
type app struct {
	*manager.Manager
	rdb  redis.UniversalClient
	args []string // that lead the program to them
}

// newApp starts one on the shared server.
func newApp(t *testing.T, change ...func(*manager.Config)) *app {
	t.Helper()
	srv := redistest.Shared(t)
	prefix := redistest.Prefix(t)
	return &app{
		Manager: newReplica(t, srv.Client(t), prefix, change...), rdb: srv.Client(t),
		args: []string{"-redis", srv.Addr(t), "-prefix", prefix},
	}
}

func newReplica(t *testing.T, client redis.UniversalClient, prefix string, change ...func(*manager.Config)) *manager.Manager {
	t.Helper()
	cfg := &manager.Config{
		Prefix: prefix, IdleTimeout: time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler),
		LockTTL: 30 * time.Second, LockWait: time.Minute, Timeout: callTime, // a machine that stands still ends no lock
	}
	for _, f := range change {
		f(cfg)
	}
	return replica.Start(t, client, cfg)
}

// login creates a session, and returns its ID and what the client would hold of it.
func login(t *testing.T, m *manager.Manager, user, text string) (id, token string) {
	t.Helper()
	ctx, err := m.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s := m.Session(ctx)
	name.Set(s, text)
	if user != "" {
		s.BindUser(user)
	}
	token, _, err = m.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID(), token
}

// read visits a session read-only, after which the replica has a registered copy of it.
func read(t *testing.T, m *manager.Manager, token string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	rec := httptest.NewRecorder()
	m.ReadOnly(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if m.Session(r.Context()).ID() == "" {
			t.Error("there is no session to read")
		}
	})).ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("read: %d", rec.Code)
	}
}

// run runs a command on the application's sessions.
func (a *app) run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	return holdfast(t.Context(), append(args, a.args...)...)
}

// must is run for a command that has to succeed without a word on standard error.
func (a *app) must(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := a.run(t, args...)
	if status != succeeded || errs != "" {
		t.Fatalf("%v: status %d, errors %q", args, status, errs)
	}
	return out
}

// lacks fails if a text has what must not be seen.
func lacks(t *testing.T, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("%q is in:\n%s", s, text)
		}
	}
}

// withReplica parts the nodes of a cluster into a master and its replica, and the others.
func withReplica(t *testing.T, c *redistest.Cluster, master *redistest.Server) (both, others []*redistest.Server) {
	t.Helper()
	_, port, _ := strings.Cut(master.Addr(), ":")
	for _, node := range c.Nodes {
		role, err := node.Client(t).Do(t.Context(), "ROLE").Slice()
		if err != nil {
			t.Fatal(err)
		}
		if node == master || role[0] == "slave" && fmt.Sprint(role[2]) == port {
			both = append(both, node)
		} else {
			others = append(others, node)
		}
	}
	if len(both) != 2 {
		t.Fatalf("%d servers have the slots of %s, want a master and its replica", len(both), master.Addr())
	}
	return both, others
}

// needNotBeWhole lets a cluster serve the slots that it has while it lacks others.
func needNotBeWhole(t *testing.T, nodes []*redistest.Server) {
	t.Helper()
	for _, node := range nodes {
		if err := node.Client(t).ConfigSet(t.Context(), "cluster-require-full-coverage", "no").Err(); err != nil {
			t.Fatal(err)
		}
	}
}
