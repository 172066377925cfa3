package manager_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store"
)

// stepper lets the calls of actors to Redis pass one at a time, in an order that a seed decides. An actor's calls are
// known by their context; others pass.
type stepper struct {
	mu      sync.Mutex // guards waiting
	waiting map[int]chan struct{}
}

type actorKey struct{}

func (st *stepper) wait(ctx context.Context) {
	actor, ok := ctx.Value(actorKey{}).(int)
	if !ok {
		return
	}
	turn := make(chan struct{})
	st.mu.Lock()
	st.waiting[actor] = turn
	st.mu.Unlock()
	<-turn
}

func (st *stepper) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (st *stepper) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { st.wait(ctx); return next(ctx, cmd) }
}

func (st *stepper) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { st.wait(ctx); return next(ctx, cmds) }
}

// run lets actors act until all have ended. In each step all of them wait, and one is drawn.
func (st *stepper) run(rng *rand.Rand, actors ...func(ctx context.Context)) {
	var wg sync.WaitGroup
	left := len(actors)
	ended := make(chan struct{}, len(actors))
	for i, act := range actors {
		wg.Go(func() {
			act(context.WithValue(context.Background(), actorKey{}, i))
			ended <- struct{}{}
		})
	}
	for left > 0 {
		synctest.Wait()
		for len(ended) > 0 {
			<-ended
			left--
		}
		st.mu.Lock()
		var ready []int
		for actor := range st.waiting {
			ready = append(ready, actor)
		}
		slices.Sort(ready)
		if len(ready) > 0 {
			next := ready[rng.IntN(len(ready))]
			close(st.waiting[next])
			delete(st.waiting, next)
			st.mu.Unlock()
			continue
		}
		st.mu.Unlock()
		if left > 0 {
			time.Sleep(time.Millisecond) // a waiter waits for a pause between two tries
		}
	}
	wg.Wait()
}

// visitor is a client with one session at a time, which it logs in and out. What is acknowledged is noted.
type visitor struct {
	id    string
	user  string
	turns int  // calls begun
	busy  bool // one is under way
}

// world is what the visitors of one schedule share. The stepper lets one of them run at a time.
type world struct {
	t        *testing.T
	m        *manager.Manager
	users    []string
	visitors []*visitor
	log      []string
}

func (w *world) say(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// act is one call of a visitor.
func (w *world) act(ctx context.Context, v *visitor, what int, user string) {
	v.turns, v.busy = v.turns+1, true
	defer func() { v.busy = false }()
	change := func(fn func(s *manager.Session)) error {
		return w.m.Update(ctx, v.id, func(s *manager.Session) error { fn(s); return nil })
	}
	var err error
	switch {
	case v.id == "":
		var id string
		if id, err = w.m.Create(ctx, func(s *manager.Session) error { s.BindUser(user); return nil }); err == nil {
			v.id, v.user = id, user
		}
	case what == 0:
		if err = change((*manager.Session).Destroy); err == nil || errors.Is(err, manager.ErrNotFound) {
			v.id, v.user, err = "", "", nil
		}
	case what == 1:
		if err = change(func(s *manager.Session) { s.BindUser("") }); err == nil {
			v.user = ""
		}
	case what == 2:
		err = change(func(s *manager.Session) { s.Rotate() })
	default:
		if err = change(func(s *manager.Session) { s.Rotate(); s.BindUser(user) }); err == nil {
			v.user = user
		}
	}
	w.say("%.4s %d %s: %v", v.id, what, user, err)
	switch {
	case errors.Is(err, manager.ErrNotFound), errors.Is(err, manager.ErrRemoved):
		v.id, v.user = "", ""
	case err != nil && !errors.Is(err, manager.ErrConflict) && !errors.Is(err, manager.ErrTooManySessions):
		w.t.Errorf("visitor: %v", err)
	}
}

// revoke ends the sessions of a user. Those that were acknowledged before, and not touched since, must be gone.
func (w *world) revoke(ctx context.Context, user string) {
	type was struct {
		v     *visitor
		id    string
		turns int
	}
	var before []was
	for _, v := range w.visitors {
		if v.user == user && !v.busy {
			before = append(before, was{v, v.id, v.turns})
		}
	}
	if _, err := w.m.RevokeUser(ctx, user); err != nil {
		w.t.Errorf("RevokeUser: %v", err)
	}
	w.say("revoked %s", user)
	for _, b := range before {
		err := w.m.View(context.Background(), b.id, func(*manager.Session) error { return nil })
		if b.v.turns == b.turns && !errors.Is(err, manager.ErrNotFound) {
			w.t.Errorf("the session %.4s, bound to %s before RevokeUser, lives on: %v", b.id, user, err)
		}
	}
}

// settled checks the world when nothing is under way: the index lacks no session, no user has too many, and RevokeUser
// ends them all.
func (w *world) settled(limit int) {
	ctx := context.Background()
	bound := map[string]int{}
	all := func() {
		clear(bound)
		for info, err := range w.m.All(ctx) {
			if err != nil {
				w.t.Fatal(err)
			}
			if info.User != "" {
				bound[info.User]++
			}
		}
	}
	all()
	for _, user := range w.users {
		list, err := w.m.UserSessions(ctx, user)
		if err != nil || len(list) != bound[user] {
			w.t.Errorf("%s has %d sessions, and the index names %d: %v", user, bound[user], len(list), err)
		}
		if limit > 0 && bound[user] > limit {
			w.t.Errorf("%s has %d sessions, and the limit is %d", user, bound[user], limit)
		}
		if _, err := w.m.RevokeUser(ctx, user); err != nil {
			w.t.Error(err)
		}
	}
	all()
	if len(bound) > 0 {
		w.t.Errorf("after RevokeUser there are %v", bound)
	}
}

// TestInterleavingsOfLogins explores orders of the calls to Redis that logins, logouts, changes of user, lists and
// revocations make. Each session has a stale entry in the index of each user, which every call that meets it removes.
func TestInterleavingsOfLogins(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.VirtualTime)
	for _, limit := range []struct {
		sessions int
		refuse   bool
	}{{}, {1, false}, {2, true}} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := redistest.InMemory(t)
				plain := srv.Client()
				client := srv.NewClient()
				defer client.Close()
				st := &stepper{waiting: map[int]chan struct{}{}}
				client.AddHook(st)
				cfg := configured("steps", func(c *manager.Config) {
					c.MaxUserSessions, c.RefuseUserSessions = limit.sessions, limit.refuse
				})
				m, err := manager.New(client, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close(context.Background())
				index, err := store.New(plain, store.Config{Prefix: "steps", Timeout: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				seeds := uint64(25)
				if testing.Short() {
					seeds = 4
				}
				for seed := range seeds {
					explore(t, m, index, st, seed, limit.sessions)
					if t.Failed() {
						t.Fatalf("seed %d", seed)
					}
				}
			})
		})
	}
}

func explore(t *testing.T, m *manager.Manager, index *store.Store, st *stepper, seed uint64, limit int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, m: m, users: []string{"alice", "bob"}}
	for range 3 {
		id, err := m.Create(t.Context(), func(s *manager.Session) error { count.Set(s, 1); return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range w.users {
			if _, _, err := index.Enlist(t.Context(), user, id, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		w.visitors = append(w.visitors, &visitor{id: id})
	}
	time.Sleep(time.Minute + time.Second) // the entries are stale now
	user := func(rng *rand.Rand) string { return w.users[rng.IntN(len(w.users))] }
	var actors []func(context.Context)
	for i, v := range w.visitors {
		own := rand.New(rand.NewPCG(seed, uint64(i+2)))
		actors = append(actors, func(ctx context.Context) {
			for range 3 {
				w.act(ctx, v, own.IntN(6), user(own))
			}
		})
	}
	for i := range 2 {
		own := rand.New(rand.NewPCG(seed, uint64(i+9)))
		actors = append(actors, func(ctx context.Context) {
			for range 2 {
				if who := user(own); own.IntN(2) == 0 {
					w.revoke(ctx, who)
				} else if _, err := m.UserSessions(ctx, who); err != nil {
					t.Errorf("UserSessions: %v", err)
				}
			}
		})
	}
	st.run(rng, actors...)
	w.settled(limit)
	if t.Failed() {
		for _, line := range w.log {
			t.Log(line)
		}
	}
	for _, v := range w.visitors {
		if v.id != "" {
			_, _ = m.Revoke(t.Context(), v.id)
		}
	}
}
