package manager_test

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func increment(n int) int { return n + 1 }

// Goroutines of one handler lose no update, also when others set and pop the same key.
func TestUpdateFromManyGoroutines(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, codec := range codecs {
			for _, keys := range [][]byte{nil, {1}} {
				m := on(t, b, func(c *manager.Config) { c.Codec = codec }, encrypted(keys...))
				token := do(m, "", func(s *manager.Session) { count.Set(s, 1) })
				const goroutines, each = 16, 8
				var popped atomic.Int64
				do(m, token, func(s *manager.Session) {
					var wg sync.WaitGroup
					for i := range goroutines {
						wg.Go(func() {
							for range each {
								count.Update(s, increment)
								if i%8 == 0 {
									popped.Add(int64(count.Pop(s)))
								}
							}
						})
					}
					wg.Wait()
				})
				var left int
				do(m, token, func(s *manager.Session) { left = count.Get(s) })
				if got := popped.Load() + int64(left); got != 1+goroutines*each {
					t.Errorf("%s: %d popped and %d left of %d", what, popped.Load(), left, 1+goroutines*each)
				}
			}
		}
	})
}

// An update is one step: a change that comes while its function runs is neither lost nor overwritten.
func TestUpdateSeesChangesInBetween(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		for what, test := range map[string]struct {
			change func(s *manager.Session)
			want   int
		}{
			"set":     {func(s *manager.Session) { count.Set(s, 10) }, 11},
			"delete":  {func(s *manager.Session) { count.Delete(s) }, 1},
			"clear":   {func(s *manager.Session) { s.Clear() }, 1},
			"destroy": {func(s *manager.Session) { s.Destroy() }, 1},
			"update":  {func(s *manager.Session) { count.Update(s, increment) }, 7},
			"other":   {func(s *manager.Session) { name.Set(s, "n") }, 6},
		} {
			token := do(m, "", func(s *manager.Session) { count.Set(s, 5) })
			token = do(m, token, func(s *manager.Session) {
				var once sync.Once
				count.Update(s, func(n int) int {
					once.Do(func() { test.change(s) })
					return n + 1
				})
			})
			do(m, token, func(s *manager.Session) {
				if got := count.Get(s); got != test.want {
					t.Errorf("%s: %d, want %d", what, got, test.want)
				}
			})
		}
	})
}

// A function that changes its own key without end fails the commit instead of running for ever.
func TestUpdateOfTheKeyItself(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var told error
		m := on(t, b, func(c *manager.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				told = err
				manager.DefaultErrorHandler(w, r, err)
			}
		})
		token := do(m, "", func(s *manager.Session) { count.Set(s, 5) })
		r, _ := visit(m, m.Handler, token, func(s *manager.Session) {
			count.Update(s, func(n int) int {
				count.Update(s, increment)
				return n + 1
			})
			if s.Err() == nil {
				t.Error("nothing will fail the commit")
			}
		})
		if r.StatusCode != http.StatusInternalServerError || told == nil || found(m, token) != 5 {
			t.Errorf("%d, %v, and the count is %d", r.StatusCode, told, found(m, token))
		}
	})
}

// A panic leaves nothing locked: neither the session's lock nor the session.
func TestUpdatePanics(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", func(s *manager.Session) { count.Set(s, 5) })
		do(m, token, func(s *manager.Session) {
			func() {
				defer func() { _ = recover() }()
				count.Update(s, func(int) int { panic("on purpose") })
			}()
			count.Update(s, increment)
		})
		if got := found(m, token); got != 6 {
			t.Errorf("%d, want 6", got)
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// Where the session cannot be changed the function does not run, and the reason is that of Set.
func TestUpdateRefused(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", add)
		never := func(int) int { t.Error("the function ran"); return 0 }
		visit(m, m.ReadOnly, token, func(s *manager.Session) {
			count.Update(s, never)
			if err := s.Err(); !errors.Is(err, manager.ErrReadOnly) {
				t.Errorf("read-only: %v", err)
			}
		})
		do(m, token, func(s *manager.Session) {
			if err := s.Commit(t.Context()); err != nil {
				t.Error(err)
			}
			count.Update(s, never)
			if err := s.Err(); !errors.Is(err, manager.ErrCommitted) {
				t.Errorf("after the commit: %v", err)
			}
		})
		do(m, token, func(s *manager.Session) {
			manager.Key[func()]("f").Update(s, func(func()) func() { return func() {} })
			if err := s.Err(); !errors.Is(err, manager.ErrEncode) {
				t.Errorf("a function: %v", err)
			}
		})
	})
}

// An update that changes nothing writes nothing; one in a child is the child's; and an optimistic one conflicts.
func TestUpdateIsAnOrdinaryChange(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, other := on(t, b), on(t, b)
		token := do(m, "", add)
		do(m, token, func(s *manager.Session) {
			count.Update(s, func(n int) int { return n })
			if s.Status() != manager.Unmodified {
				t.Errorf("the same value: %v", s.Status())
			}
			tab, err := s.Child("tab")
			if err != nil {
				t.Fatal(err)
			}
			count.Update(tab, increment)
			count.Update(tab, increment)
			if count.Get(tab) != 2 || count.Get(s) != 1 {
				t.Errorf("child %d, session %d", count.Get(tab), count.Get(s))
			}
		})
		r, _ := visit(m, m.Optimistic, token, func(s *manager.Session) {
			count.Update(s, increment)
			do(other, token, add)
		})
		if r.StatusCode != http.StatusConflict {
			t.Errorf("an optimistic update: %d", r.StatusCode)
		}
	})
}

// A value that expires by itself still does, at the same time, after any number of updates.
func TestUpdateKeepsTheExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		token := do(m, "", func(s *manager.Session) {
			count.SetFor(s, 1, time.Minute)
			count.Update(s, increment)
		})
		time.Sleep(30 * time.Second)
		do(m, token, func(s *manager.Session) {
			count.Update(s, increment)
			if d, ok := count.ExpiresIn(s); !ok || d != 30*time.Second || count.Get(s) != 3 {
				t.Errorf("%d expires in %v, %v", count.Get(s), d, ok)
			}
		})
		time.Sleep(30 * time.Second)
		do(m, token, func(s *manager.Session) {
			count.Update(s, increment)
			if d, ok := count.ExpiresIn(s); ok || count.Get(s) != 1 {
				t.Errorf("after its end: %d, expires in %v", count.Get(s), d)
			}
		})
	})
}
