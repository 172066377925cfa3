package manager_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// mute is a hook of go-redis that keeps the answers to commits back, until the caller gives up.
type mute struct{ on atomic.Bool }

func (*mute) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*mute) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *mute) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		commit := slices.ContainsFunc(cmd.Args(), func(arg any) bool {
			text, _ := arg.(string)
			return text == "holdfast:nodes" || strings.HasPrefix(text, ".") // of commit.lua; a value's field, of fastcommit.lua
		})
		if h.on.Load() && commit {
			<-ctx.Done()
			return ctx.Err()
		}
		return err
	}
}

// No node gets messages about its own commits. As long as one is not answered, read-only requests of the same node must not take
// the copy from before it for longer than MaxStaleness.
func TestOwnCommitUnanswered(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		const staleness = 2 * time.Second
		client, hook := v.srv.NewClient(), &mute{}
		client.AddHook(hook)
		m, err := manager.New(client, configured("", func(c *manager.Config) { c.MaxStaleness = staleness }))
		if err != nil {
			t.Fatal(err)
		}
		v.managers = append(v.managers, m)
		_, token := visit(m, m.Handler, "", add)
		time.Sleep(staleness)
		found(m, token)
		visit(m, m.Handler, token, add) // the server learns the script
		before := m.Stats().LocalHits
		if got := found(m, token); got != 2 || m.Stats().LocalHits != before+1 {
			t.Fatalf("found %d, with %d local hits: there is no copy to begin with", got, m.Stats().LocalHits-before)
		}

		hook.on.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() {
			if res, _ := visit(m, m.Handler, token, add); res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("a commit without an answer: %d", res.StatusCode)
			}
		})
		time.Sleep(staleness)
		if got := found(m, token); got != 3 {
			t.Errorf("found %d, which ended more than MaxStaleness ago", got)
		}
		wg.Wait()
		hook.on.Store(false)

		time.Sleep(2 * time.Minute) // now it is settled
		found(m, token)
		before = m.Stats().LocalHits
		if got := found(m, token); got != 3 || m.Stats().LocalHits != before+1 {
			t.Errorf("found %d, and copies are not used any more", got)
		}
	})
}
