package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// events keeps the events that hooks get.
type events struct {
	mu      sync.Mutex // guards all below
	opens   []manager.OpenEvent
	commits []manager.CommitEvent
	revokes []manager.RevokeEvent
}

func (e *events) hooks() manager.Hooks {
	return manager.Hooks{
		Opened:    func(_ context.Context, o manager.OpenEvent) { keep(e, &e.opens, o) },
		Committed: func(_ context.Context, c manager.CommitEvent) { keep(e, &e.commits, c) },
		Revoked:   func(_ context.Context, r manager.RevokeEvent) { keep(e, &e.revokes, r) },
	}
}

func keep[E any](e *events, list *[]E, one E) {
	e.mu.Lock()
	defer e.mu.Unlock()
	*list = append(*list, one)
}

// opened returns the opens so far.
func (e *events) opened() []manager.OpenEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.opens)
}

// Ends of sessions that no request asked for are reported too: by ID, by user, and because there were too many.
func TestRevokedHookAndCounts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var told events
		n := serve(t, on(t, b, func(c *manager.Config) { c.Hooks, c.MaxUserSessions = told.hooks(), 2 }), shop)
		var ids []string
		for range 3 {
			tab := newBrowser(t)
			tab.get(n, "/login")
			ids = append(ids, idOf(tab.token(n)))
		}
		ctx := context.Background()
		if _, err := n.Revoke(ctx, ids[1], ids[0]); err != nil { // of which one is left
			t.Error(err)
		}
		if _, err := n.RevokeUser(ctx, "u1"); err != nil {
			t.Error(err)
		}
		want := []string{
			fmt.Sprintf("%v ", ids[:1]), // the third login was one too many
			fmt.Sprintf("%v ", ids[1:2]),
			fmt.Sprintf("%v u1", ids[2:]),
		}
		var got []string
		for _, e := range told.revokes {
			got = append(got, fmt.Sprintf("%v %s", e.IDs, e.User))
			if e.Took <= 0 || e.Err != nil {
				t.Errorf("told %+v", e)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if st := n.Stats(); st.Revoked != 3 || st.Created != 3 || st.Rotated != 0 || st.Destroyed != 0 {
			t.Errorf("stats: %+v", st)
		}
		tab := newBrowser(t)
		tab.get(n, "/add")
		tab.get(n, "/login")
		tab.get(n, "/logout")
		if st := n.Stats(); st.Created != 4 || st.Rotated != 1 || st.Destroyed != 1 {
			t.Errorf("stats: %+v", st)
		}
		wait.Until(t, "a probe came back", func() bool { return n.Stats().Feed.Lag > 0 })
	})
}

// The time that a request has waited for the lock is reported apart from what Redis takes.
func TestWaitIsReported(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var told events
		n := serve(t, on(t, b, func(c *manager.Config) { c.Hooks = told.hooks() }), nil)
		entered, leave := make(chan struct{}, 2), make(chan struct{})
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			add(s)
			if r.URL.Path == "/slow" {
				entered <- struct{}{}
				<-leave
			}
		}
		tab := newBrowser(t)
		tab.get(n, "/")
		var all sync.WaitGroup
		all.Go(func() { tab.get(n, "/slow") })
		<-entered
		all.Go(func() { tab.get(n, "/") })
		wait.Until(t, "it waits", func() bool { return n.Stats().Lock.Waiting == 1 })
		close(leave)
		all.Wait()
		opens := told.opened()
		if len(opens) != 3 || opens[0].Waited != 0 || opens[1].Waited != 0 || opens[2].Waited <= 0 || opens[2].Waited > opens[2].Took {
			t.Errorf("opens: %+v", opens)
		}
	})
}

func TestHooksAnd(t *testing.T) {
	t.Parallel()
	var log []string
	note := func(who string) manager.Hooks {
		return manager.Hooks{
			Opened:      func(context.Context, manager.OpenEvent) { log = append(log, who+" opened") },
			Committed:   func(context.Context, manager.CommitEvent) { log = append(log, who+" committed") },
			Revoked:     func(context.Context, manager.RevokeEvent) { log = append(log, who+" revoked") },
			Undecodable: func(context.Context, string, error) { log = append(log, who+" undecodable") },
			Late:        func(context.Context, string) { log = append(log, who+" late") },
		}
	}
	none := manager.Hooks{}.And(manager.Hooks{})
	if none.Opened != nil || none.Committed != nil || none.Revoked != nil || none.Undecodable != nil || none.Late != nil {
		t.Error("hooks out of nothing")
	}
	for _, c := range []struct {
		hooks manager.Hooks
		who   []string
	}{
		{note("a").And(manager.Hooks{}), []string{"a"}},
		{manager.Hooks{}.And(note("b")), []string{"b"}},
		{note("a").And(note("b")), []string{"a", "b"}},
	} {
		log = nil
		ctx := context.Background()
		c.hooks.Opened(ctx, manager.OpenEvent{})
		c.hooks.Committed(ctx, manager.CommitEvent{})
		c.hooks.Revoked(ctx, manager.RevokeEvent{})
		c.hooks.Undecodable(ctx, "", nil)
		c.hooks.Late(ctx, "")
		var want []string
		for _, what := range []string{" opened", " committed", " revoked", " undecodable", " late"} {
			for _, who := range c.who {
				want = append(want, who+what)
			}
		}
		if !slices.Equal(log, want) {
			t.Errorf("called %q, want %q", log, want)
		}
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"":                nil,
		"conflict":        fmt.Errorf("commit session: %w", manager.ErrConflict),
		"lock_timeout":    fmt.Errorf("open session: %w", errors.Join(manager.ErrLockTimeout, context.DeadlineExceeded)),
		"canceled":        fmt.Errorf("open session: %w", errors.Join(manager.ErrLockTimeout, context.Canceled)),
		"outcome_unknown": errors.Join(manager.ErrUnavailable, manager.ErrOutcomeUnknown),
		"other":           errors.New("of an application"),
	} {
		if got := manager.Reason(err); got != want {
			t.Errorf("Reason(%v) = %q, want %q", err, got, want)
		}
		if want != "" && !slices.Contains(manager.Reasons(), want) {
			t.Errorf("Reasons() lacks %q", want)
		}
	}
}

// Hooks cost nothing in memory, set or not.
func TestAllocationsOfHooks(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	cost := func(hooks manager.Hooks) float64 {
		m := open(t, redistest.Shared(t).Client(t), configured(redistest.Prefix(t), func(c *manager.Config) { c.Hooks = hooks }))
		h, _, r := local(t, func(testing.TB) *manager.Manager { return m })
		w := &discard{h: http.Header{}}
		h.ServeHTTP(w, r)
		return leastAllocs(500, func() { h.ServeHTTP(w, r) })
	}
	var opened int
	unset, set := cost(manager.Hooks{}), cost(manager.Hooks{
		Opened:    func(_ context.Context, e manager.OpenEvent) { opened += int(e.Outcome) },
		Committed: func(context.Context, manager.CommitEvent) {},
	})
	t.Logf("a local read: %v allocations without hooks, %v with them", unset, set)
	if opened == 0 {
		t.Error("the hook was not called")
	}
	if set != unset {
		t.Errorf("hooks add %v allocations, want none", set-unset)
	}
}

// BenchmarkHooksUnset is what a request without a round trip costs without hooks, BenchmarkHooksSet with
// them.
func BenchmarkHooksUnset(b *testing.B) { benchHooks(b, manager.Hooks{}) }

func BenchmarkHooksSet(b *testing.B) {
	var e manager.OpenEvent
	benchHooks(b, manager.Hooks{
		Opened:    func(_ context.Context, o manager.OpenEvent) { e = o },
		Committed: func(context.Context, manager.CommitEvent) {},
	})
	if b.N > 1 && e.Outcome != manager.OpenedFound {
		b.Errorf("the last open: %+v", e)
	}
}

// benchHooks reads a session from the copy in the process: no Redis, and little but the middleware itself.
func benchHooks(b *testing.B, hooks manager.Hooks) {
	b.Helper()
	m, err := manager.New(redistest.Shared(b).Client(b), configured(redistest.Prefix(b), func(c *manager.Config) { c.Hooks = hooks }))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close(context.Background()) })
	h, _, r := local(b, func(testing.TB) *manager.Manager { return m })
	w := &discard{h: http.Header{}}
	h.ServeHTTP(httptest.NewRecorder(), r)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// A panic in a hook is the server's as any other, and neither the lock nor Close suffers.
func TestPanicInAHook(t *testing.T) {
	for _, where := range []string{"Opened", "Committed"} {
		for _, lazy := range []bool{false, true} {
			bubbleNamed(t, where+map[bool]string{true: " lazy"}[lazy], func(t *testing.T, v *virtual) {
				armed := false
				oops := func() {
					if armed {
						armed = false
						panic("a nil map in the metrics")
					}
				}
				m := v.manager(func(c *manager.Config) {
					switch where {
					case "Opened":
						c.Hooks.Opened = func(context.Context, manager.OpenEvent) { oops() }
					case "Committed":
						c.Hooks.Committed = func(context.Context, manager.CommitEvent) { oops() }
					}
				})
				mw := m.Handler
				if lazy {
					mw = m.Lazy
				}
				_, token := visit(m, m.Handler, "", add)
				armed = true
				func() {
					defer func() {
						if recover() == nil {
							t.Error("the panic did not reach the server")
						}
					}()
					visit(m, mw, token, add)
				}()
				start := time.Now()
				if res, _ := visit(m, m.Handler, token, add); res.StatusCode != http.StatusOK || time.Since(start) > time.Second {
					t.Errorf("status %d after %v: the session is locked", res.StatusCode, time.Since(start))
				}
				time.Sleep(time.Minute)
				if left := lockKeys(t, v); len(left) > 0 {
					t.Errorf("%q are left", left)
				}
			}) // which closes the Manager without a deadline
		}
	}
}
