package manager_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// withCopy returns a Manager that has a copy of a session in which 1 was counted, and the session's token.
func withCopy(v *virtual) (m *manager.Manager, token string) {
	m = v.manager(unretained)
	time.Sleep(time.Second) // the feed is live
	_, token = visit(m, m.Handler, "", add)
	found(m, token)
	return m, token
}

// No message reports that Redis was flushed. The first request that queries it learns that a session is gone, and the copy of this
// node goes as well.
func TestCopyOfASessionThatIsGoneInRedis(t *testing.T) {
	for _, mode := range []string{"optimistic", "exclusive"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m, token := withCopy(v)
				if err := v.srv.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				if n := found(m, token); n != 1 || m.Stats().LocalHits == 0 {
					t.Fatalf("there is no copy to read: %d found, %d times in a copy", n, m.Stats().LocalHits)
				}
				visit(m, wraps(m)[mode], token, func(s *manager.Session) {
					if n := count.Get(s); n != 0 {
						t.Errorf("%d found in a session that is gone", n)
					}
				})
				if n := found(m, token); n != 0 {
					t.Errorf("%d found in the copy, after a request that learned that the session is gone", n)
				}
			})
		})
	}
}

// A client that knows only the ID of a session has no effect on the copy that serves its owner.
func TestWrongSecretLeavesTheCopy(t *testing.T) {
	for _, mode := range []string{"read-only", "optimistic", "exclusive"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m, token := withCopy(v)
				visit(m, wraps(m)[mode], forged(token), func(s *manager.Session) {
					if n := count.Get(s); n != 0 {
						t.Errorf("a wrong secret finds %d", n)
					}
				})
				hits := m.Stats().LocalHits
				if n := found(m, token); n != 1 || m.Stats().LocalHits != hits+1 {
					t.Errorf("%d found, and the copy is gone", n)
				}
			})
		})
	}
}

// noProbes is a hook of go-redis that sends none of the feed's probes.
type noProbes struct{ on atomic.Bool }

func (*noProbes) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*noProbes) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *noProbes) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.on.Load() && cmd.Name() == "publish" {
			return errors.New("not sent")
		}
		return next(ctx, cmd)
	}
}

// Without a sign of life a subscription may have missed a message. For MaxStaleness at most, a copy is used all the same.
func TestCopyWithoutProof(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		const staleness = 4 * time.Second
		client, hook := v.srv.NewClient(), &noProbes{}
		client.AddHook(hook)
		m := v.managerOn(client, func(c *manager.Config) { c.MaxStaleness = staleness })
		time.Sleep(time.Second) // the feed is live
		_, token := visit(m, m.Handler, "", add)
		hook.on.Store(true)
		begun := time.Now()
		found(m, token)
		for used := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			before := m.Stats().LocalHits
			if n := found(m, token); n != 1 {
				t.Fatalf("found %d", n)
			}
			if m.Stats().LocalHits > before {
				used = time.Now()
			}
			if used.Sub(begun) > staleness {
				t.Fatalf("a copy is used %v after the last proof", used.Sub(begun))
			}
			if time.Since(begun) > 3*staleness {
				if used.Equal(begun) {
					t.Error("no copy was used at all")
				}
				return
			}
		}
	})
}
