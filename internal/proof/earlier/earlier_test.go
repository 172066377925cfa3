package earlier_test

import (
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/proof/earlier"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/replica"
	"github.com/holdfast-go/holdfast/manager"
)

var register = manager.Key[history.Value]("register")

// newManager makes a replica without retained locks, so that every request goes to Redis.
func newManager(t *testing.T, client redis.UniversalClient, prefix string) *manager.Manager {
	t.Helper()
	return replica.Start(t, client, &manager.Config{
		Prefix: prefix, IdleTimeout: time.Hour, Retain: -1, Insecure: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		LockTTL: 30 * time.Second, LockWait: 2 * time.Minute, // for a machine that stands still for seconds
	})
}

// Each session is used by so many tabs at once, so often.
const tabs, rounds = 4, 12

// Replicas of an earlier release and of this one read and write the same sessions, at the same time and in turns. One order
// of it all keeps every promise: a change of either side is seen by both, none is lost, and what one side ends is gone.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		const sessions = 4
		scripts, err := earlier.New()
		if err != nil {
			t.Fatal(err)
		}
		old := b.Client(t)
		old.AddHook(scripts)
		releases := []*manager.Manager{newManager(t, old, b.Prefix), newManager(t, b.Client(t), b.Prefix)}
		h := history.New(history.Config{MaxStaleness: 2 * time.Second})
		for s := range sessions {
			creating, revoking := releases[s%2], releases[(s+1)%2]
			id := create(t, h, creating, "bob")
			share(t, h, releases, id)
			revoke(t, h, revoking, "bob", id)
			for _, m := range releases {
				op := h.Begin("late", history.Read, id, "")
				if err := m.Update(t.Context(), id, func(*manager.Session) error { return nil }); err == nil {
					t.Error("a session that was revoked could be opened")
				}
				op.End(history.Absent)
			}
		}
		if report := h.Check(time.Minute); !report.OK() || report.Count(history.Add, history.OK) < sessions*tabs*rounds/2 {
			t.Errorf("%v\n%v", report, report.Violations)
		}
		ran := scripts.Ran()
		for _, name := range []string{"fastopen", "open", "fastcommit", "commit", "remove", "enlist"} {
			if ran[name] == 0 {
				t.Errorf("the earlier %s.lua was not run: %v", name, ran)
			}
		}
	})
}

// share has tabs use a session at both releases.
func share(t *testing.T, h *history.History, releases []*manager.Manager, id string) {
	t.Helper()
	var all sync.WaitGroup
	for tab := range tabs {
		all.Go(func() {
			for round := range rounds {
				m := releases[(tab+round)%2]
				if round%3 == 2 {
					read(t, h, m, id)
				} else {
					add(t, h, m, id)
				}
			}
		})
	}
	all.Wait()
	// What one release has written last, the other reads and changes.
	for _, m := range []*manager.Manager{releases[0], releases[1], releases[0]} {
		add(t, h, m, id)
	}
}

// revoke ends the one session of a user.
func revoke(t *testing.T, h *history.History, m *manager.Manager, user, id string) {
	t.Helper()
	op := h.Begin("admin", history.Remove, id, "")
	found, err := m.RevokeUser(t.Context(), user)
	op.End(history.OutcomeOf(err))
	if err != nil || found != 1 {
		t.Errorf("one release revoked %d sessions of what the other had created: %v", found, err)
	}
}

// create logs a user in without HTTP, as the tests of cmd/holdfast do, and keeps it in the history.
func create(t *testing.T, h *history.History, m *manager.Manager, user string) (id string) {
	t.Helper()
	ctx, err := m.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s := m.Session(ctx)
	op := h.Begin("login", history.Create, s.ID(), "")
	register.Set(s, op.Next(history.Value{}))
	s.BindUser(user)
	_, _, err = m.Commit(ctx)
	op.Named(s.ID())
	op.End(history.OutcomeOf(err))
	if err != nil {
		t.Fatal(err)
	}
	return s.ID()
}

func add(t *testing.T, h *history.History, m *manager.Manager, id string) {
	t.Helper()
	op := h.Begin("tab", history.Add, id, "")
	err := m.Update(t.Context(), id, func(s *manager.Session) error {
		seen := register.Get(s)
		op.Saw(seen)
		register.Set(s, op.Next(seen))
		return nil
	})
	op.End(history.OutcomeOf(err))
	if err != nil {
		t.Errorf("update: %v", err)
	}
}

func read(t *testing.T, h *history.History, m *manager.Manager, id string) {
	t.Helper()
	op := h.Begin("tab", history.View, id, "")
	err := m.View(t.Context(), id, func(s *manager.Session) error {
		op.Saw(register.Get(s))
		return nil
	})
	op.End(history.OutcomeOf(err))
	if err != nil {
		t.Errorf("view: %v", err)
	}
}
