package manager_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// slowAnswers delays each command and its answer by up to 3 ms, so that messages overtake them.
type slowAnswers struct{}

func delay() { time.Sleep(rand.N(3 * time.Millisecond)) }

func (slowAnswers) DialHook(next redis.DialHook) redis.DialHook { return next }

func (slowAnswers) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		delay()
		defer delay()
		return next(ctx, cmd)
	}
}

func (slowAnswers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		delay()
		defer delay()
		return next(ctx, cmds)
	}
}

// While no message is lost, no request waits for a timer: not for a second recall, and not for a lock to expire. Two tabs go
// from node to node, at once or when a lock that was retained is about to expire.
func TestNoRequestWaitsForATimer(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		const firstRecall = 100 * time.Millisecond // as in package lock
		var mu sync.Mutex
		var longest time.Duration
		opened := func(c *manager.Config) {
			c.Hooks.Opened = func(_ context.Context, e manager.OpenEvent) {
				mu.Lock()
				longest = max(longest, e.Waited)
				mu.Unlock()
			}
		}
		const retain = 2 * time.Second
		var nodes []*manager.Manager
		for range 3 {
			client := v.srv.NewClient()
			client.AddHook(slowAnswers{})
			nodes = append(nodes, v.managerOn(client, retaining(retain), opened))
		}
		time.Sleep(time.Second)
		_, token := visit(nodes[0], nodes[0].Handler, "", add)
		var tabs sync.WaitGroup
		for range 2 {
			tabs.Go(func() {
				for range 1000 {
					node := nodes[rand.IntN(len(nodes))]
					for range 1 + rand.IntN(4) {
						do := nothing
						if rand.IntN(2) == 0 {
							do = add
						}
						code := 0
						if rand.IntN(2) == 0 {
							code = post(node, token, do)
						} else {
							res, _ := visit(node, node.Handler, token, do)
							code = res.StatusCode
						}
						if code != http.StatusOK && code != http.StatusConflict {
							t.Errorf("answered %d", code)
						}
					}
					if rand.IntN(2) == 0 {
						time.Sleep(retain*9/10 + rand.N(retain/5))
					}
				}
			})
		}
		tabs.Wait()
		if longest >= firstRecall {
			t.Errorf("a request waited for %v", longest)
		}
	})
}
