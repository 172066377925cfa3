package manager_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// merging makes a request of the first session that merges the second, with something before the commit.
func merging(t *testing.T, m *manager.Manager, mw func(http.Handler) http.Handler, into, other string, then func(*manager.Session)) *http.Response {
	t.Helper()
	res, _ := visit(m, mw, into, func(s *manager.Session) {
		if err := s.Merge(context.Background(), other); err != nil {
			t.Errorf("Merge: %v", err)
		}
		then(s)
	})
	return res
}

// Values are taken in only from a session that is as Merge found it.
func TestMergeOfWhatHasEnded(t *testing.T) {
	for what, end := range map[string]func(m *manager.Manager, token string){
		"revoked": func(m *manager.Manager, token string) { _, _ = m.Revoke(context.Background(), idOf(token)) },
		"changed": func(m *manager.Manager, token string) { visit(m, m.Optimistic, token, add) },
	} {
		for _, fresh := range []bool{false, true} {
			bubbleNamed(t, what, func(t *testing.T, v *virtual) {
				m := v.manager()
				_, other := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7) })
				into := ""
				if !fresh {
					_, into = visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 1) })
				}
				res := merging(t, m, m.Handler, into, other, func(*manager.Session) { end(m, other) })
				if res.StatusCode != http.StatusConflict || len(res.Cookies()) != 0 {
					t.Errorf("status %d with %d cookies, want 409 without", res.StatusCode, len(res.Cookies()))
				}
				if !fresh && found(m, into) != 1 {
					t.Errorf("count is %d, want 1 as before", found(m, into))
				}
				if want := map[string]int{"revoked": 0, "changed": 8}[what]; found(m, other) != want {
					t.Errorf("the other session has %d, want %d", found(m, other), want)
				}
			})
		}
	}
}

// Whatever ends this session keeps the other one.
func TestMergeThatIsNotCommitted(t *testing.T) {
	for what, end := range map[string]func(m *manager.Manager, s *manager.Session){
		"destroyed": func(_ *manager.Manager, s *manager.Session) { s.Destroy() },
		"discarded": func(_ *manager.Manager, s *manager.Session) { s.Discard() },
		"revoked":   func(m *manager.Manager, s *manager.Session) { _, _ = m.Revoke(context.Background(), s.ID()) },
		"too large": func(_ *manager.Manager, s *manager.Session) { name.Set(s, string(make([]byte, 2<<20))) },
	} {
		bubbleNamed(t, what, func(t *testing.T, v *virtual) {
			m := v.manager()
			_, other := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7) })
			_, into := visit(m, m.Handler, "", func(s *manager.Session) { name.Set(s, "x") })
			merging(t, m, m.Handler, into, other, func(s *manager.Session) { end(m, s) })
			start := time.Now()
			if res, _ := visit(m, m.Handler, other, add); res.StatusCode != http.StatusOK || time.Since(start) > time.Second {
				t.Errorf("status %d after %v: the other session is locked", res.StatusCode, time.Since(start))
			}
			if got := found(m, other); got != 8 {
				t.Errorf("the other session has %d, want 8", got)
			}
		})
	}
}

// What a request has locked it does not wait for.
func TestNoWaitForOneself(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.LockWait = -1 })
		_, other := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7) })
		_, into := visit(m, m.Handler, "", func(s *manager.Session) { name.Set(s, "x") })
		start := time.Now()
		h := func(next http.Handler) http.Handler { return m.Handler(next) }
		res, _ := visitRequest(m, h, into, func(r *http.Request, s *manager.Session) {
			for range 3 {
				if err := s.Merge(r.Context(), other); err != nil {
					t.Errorf("Merge: %v", err)
				}
			}
			for _, token := range []string{into, other} {
				err := m.Update(r.Context(), idOf(token), func(*manager.Session) error { return nil })
				if !errors.Is(err, manager.ErrHeld) {
					t.Errorf("Update of a session that is held: %v", err)
				}
				if _, err := m.Load(r.Context(), token); !errors.Is(err, manager.ErrHeld) {
					t.Errorf("Load of a session that is held: %v", err)
				}
			}
			if err := m.View(r.Context(), idOf(into), func(*manager.Session) error { return nil }); err != nil {
				t.Errorf("View does not wait: %v", err)
			}
		})
		if res.StatusCode != http.StatusOK || found(m, into) != 7 || found(m, other) != 0 || time.Since(start) > time.Second {
			t.Errorf("status %d, count %d and %d, after %v", res.StatusCode, found(m, into), found(m, other), time.Since(start))
		}
		ctx, err := m.Load(context.Background(), into)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Session(ctx).Commit(ctx); err != nil {
			t.Fatal(err)
		}
		if err := m.Update(ctx, idOf(into), func(*manager.Session) error { return nil }); err != nil {
			t.Errorf("Update after the commit: %v", err)
		}
	})
}

// Two sessions that merge each other: one gives way.
func TestMergeOfEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		nodes := []*manager.Manager{v.manager(), v.manager()}
		var tokens [2]string
		for i := range tokens {
			_, tokens[i] = visit(nodes[i], nodes[i].Handler, "", func(s *manager.Session) { count.Set(s, i+1) })
		}
		start := time.Now()
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range tokens {
			wg.Go(func() {
				visit(nodes[i], nodes[i].Handler, tokens[i], func(s *manager.Session) {
					time.Sleep(100 * time.Millisecond) // the other one has its lock
					errs[i] = s.Merge(context.Background(), tokens[1-i])
				})
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("want an error for one: %v", errs)
		}
		if err := errors.Join(errs...); !errors.Is(err, manager.ErrConflict) {
			t.Errorf("the error is %v", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("that took %v", took)
		}
		time.Sleep(time.Second) // both have heard of it
		if a, b := found(nodes[0], tokens[0]), found(nodes[1], tokens[1]); (a == 0) == (b == 0) {
			t.Errorf("%d and %d are left, want one session", a, b)
		}
	})
}

// visitRequest is visit for handlers that need their request.
func visitRequest(m *manager.Manager, mw func(http.Handler) http.Handler, token string, do func(*http.Request, *manager.Session)) (*http.Response, string) {
	return visit(m, func(next http.Handler) http.Handler {
		return mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			do(r, m.Session(r.Context()))
			next.ServeHTTP(w, r)
		}))
	}, token, nothing)
}

func TestMerge(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		_, before := visit(m, m.Handler, "", func(s *manager.Session) { count.Set(s, 7); name.Set(s, "cart") })
		take := func(s *manager.Session) {
			count.Set(s, 1)
			if err := s.Merge(t.Context(), before); err != nil {
				t.Errorf("Merge: %v", err)
			}
		}
		// A commit that fails leaves the other session as it was.
		_, after := visit(m, m.Handler, "", add)
		res, _ := visit(m, m.Handler, after, func(s *manager.Session) { take(s); _, _ = m.Revoke(t.Context(), s.ID()) })
		if res.StatusCode != http.StatusConflict || found(m, before) != 7 {
			t.Errorf("after a failed commit (%d) the other session has %d", res.StatusCode, found(m, before))
		}
		_, after = visit(m, m.Handler, "", take)
		if a, b := found(m, after), found(m, before); a != 7 || b != 0 {
			t.Errorf("merged: %d and %d are left, want 7 and 0", a, b)
		}
		visit(m, m.Handler, after, func(s *manager.Session) {
			if err := s.Merge(t.Context(), before); !errors.Is(err, manager.ErrNotFound) {
				t.Errorf("merging what is gone: %v", err)
			}
			if name.Get(s) != "cart" {
				t.Error("a value was not taken in")
			}
		})
	})
}
