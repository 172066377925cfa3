package manager_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// begin stores a new session and returns its token.
func begin(ctx context.Context, m *manager.Manager) (token string, err error) {
	if ctx, err = m.Load(ctx, ""); err != nil {
		return "", err
	}
	add(m.Session(ctx))
	token, _, err = m.Commit(ctx)
	return token, err
}

// An outcome is unknown only of a change.
func TestReadsAreNeverUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		client, hook := v.srv.NewClient(), new(slow)
		client.AddHook(hook)
		m, err := manager.New(client, configured("", func(c *manager.Config) { c.Timeout, c.LockTTL = time.Second, 5*time.Second }))
		if err != nil {
			t.Fatal(err)
		}
		v.managers = append(v.managers, m)
		_, token := visit(m, m.Handler, "", add)
		hook.by.Store(int64(time.Minute))
		defer hook.by.Store(0)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for what, read := range map[string]func() error{
			"All": func() error {
				for _, err := range m.All(gone) {
					return err
				}
				return nil
			},
			"UserSessions": func() error { _, err := m.UserSessions(t.Context(), "42"); return err },
			"View":         func() error { return m.View(t.Context(), idOf(token), nil) },
			"Merge": func() error {
				ctx, err := m.Load(t.Context(), "")
				if err != nil {
					return err
				}
				defer m.Discard(ctx)
				return m.Session(ctx).Merge(ctx, token)
			},
			"a login that is not in the index": func() error {
				ctx, err := m.Load(t.Context(), "")
				if err != nil {
					return err
				}
				m.Session(ctx).BindUser("42")
				_, _, err = m.Commit(ctx)
				return err
			},
		} {
			if err := read(); err == nil || errors.Is(err, manager.ErrOutcomeUnknown) {
				t.Errorf("%s: %v, want ErrUnavailable", what, err)
			}
		}
	})
}

// At MaxHold the lock ends, for those who wait in this process and in others, although the handler goes on.
func TestMaxHold(t *testing.T) {
	for _, hold := range []time.Duration{time.Second, 20 * time.Second} {
		bubbleNamed(t, hold.String(), func(t *testing.T, v *virtual) {
			limit := func(c *manager.Config) { c.MaxHold, c.LockWait = hold, -1 }
			m, other := v.manager(limit), v.manager(limit)
			_, token := visit(m, m.Handler, "", add)
			start := time.Now()
			about := func(what string, most time.Duration) {
				t.Helper()
				if took := time.Since(start); took < hold*9/10 || took > most {
					t.Errorf("%s after %v, and MaxHold is %v", what, took, hold)
				}
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				res, _ := visitRequest(m, m.Handler, token, func(r *http.Request, s *manager.Session) {
					<-r.Context().Done()
					about("the context ended", hold*11/10)
					if !errors.Is(context.Cause(r.Context()), manager.ErrLockLost) {
						t.Errorf("the cause is %v", context.Cause(r.Context()))
					}
					time.Sleep(3 * hold) // it is stuck
					add(s)
				})
				if res.StatusCode != http.StatusConflict {
					t.Errorf("the commit of the stuck handler: %d", res.StatusCode)
				}
			})
			time.Sleep(hold / 10)
			for _, waiter := range []*manager.Manager{m, other} {
				wg.Go(func() {
					if res, _ := visit(waiter, waiter.Handler, token, add); res.StatusCode != http.StatusOK {
						t.Errorf("a waiter: %d", res.StatusCode)
					}
					about("a waiter was served", hold*11/10)
				})
			}
			wg.Wait()
			visit(m, m.Optimistic, token, func(s *manager.Session) {
				if got := count.Get(s); got != 3 {
					t.Errorf("count is %d, want 3", got)
				}
			})
		})
	}
}

func TestCreateOnFirstWrite(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		tab := newBrowser(t)
		if r := tab.get(n, "/look"); len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("a visitor who stores nothing got %q", r.Header["Set-Cookie"])
		}
		if keys := keysOf(t, b.Client(t), b.Prefix); len(keys) != 0 {
			t.Errorf("a visitor who stores nothing left %q", keys)
		}
		if r := tab.get(n, "/add"); len(r.Header["Set-Cookie"]) != 1 {
			t.Errorf("the first write set %q", r.Header["Set-Cookie"])
		}
		if r := tab.get(n, "/add"); r.body != "2" || len(r.Header["Set-Cookie"]) != 0 {
			t.Errorf("the second write: %q, Set-Cookie %q", r.body, r.Header["Set-Cookie"])
		}
	})
}

func TestUnknownTokens(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), shop)
		first, good := customer(t, n)
		wrong := []byte(good)
		wrong[len(wrong)-1] ^= 1
		for _, shown := range []string{
			"x", "../../etc", good[:30], good + "x", string(wrong), "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		} {
			tab := newBrowser(t)
			tab.show(n, shown)
			if r := tab.get(n, "/add"); r.StatusCode != http.StatusOK || r.body != "1" {
				t.Errorf("token %q: %d %q", shown, r.StatusCode, r.body)
			}
			if got := tab.token(n); idOf(got) == idOf(shown) {
				t.Errorf("token %q: the client's ID was adopted", shown)
			}
		}
		if r := first.get(n, "/look"); r.body != "1" {
			t.Errorf("the session itself: %q", r.body)
		}
	})
}
