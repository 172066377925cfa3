package lock

import (
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// The scripts as such; the functions of queue.lua are tested in internal/queue.
func TestScripts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		client := b.Client(t)
		space := keys.In(b.Prefix)
		settings := &queue.Settings{NodePrefix: space.NodePrefix(), MaxWaiters: 1, Life: time.Minute, Grant: time.Minute, TTL: time.Minute}
		k := space.Of("id")
		ctx := t.Context()
		expect := func(what string, cmd *redis.Cmd, want any) {
			t.Helper()
			if got, err := cmd.Result(); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v (%v), want %v", what, got, err, want)
			}
		}
		enter := func(token string) *redis.Cmd {
			step := lockOnly{keys: k}.Step(queue.Ask{Token: token, Settings: settings})
			return redis.NewScript(step.Script.Source()).Run(ctx, client, step.Keys, step.Args...)
		}
		leave := func(token string) *redis.Cmd {
			return redis.NewScript(leaveScript.Source()).Run(ctx, client, []string{k.Lock, k.Queue}, settings.NodePrefix, token, settings.Grant.Milliseconds())
		}
		release := func(token string) *redis.Cmd {
			return redis.NewScript(releaseScript.Source()).Run(ctx, client, []string{k.Lock, k.Queue}, token)
		}
		renew := func(token string) *redis.Cmd {
			return redis.NewScript(renewScript.Source()).Run(ctx, client, []string{k.Lock}, token, time.Hour.Milliseconds())
		}

		expect("renew, free", renew("n.1"), int64(0))
		expect("leave, free", leave("n.1"), int64(0))
		expect("enter, free", enter("n.1"), []any{"held", int64(0)})
		expect("enter, ours", enter("n.1"), []any{"held", int64(0)})
		client.Persist(ctx, k.Lock)
		expect("enter, another's", enter("n.2"), []any{"first", int64(-1)})
		expect("enter, full", enter("n.3"), []any{"full", int64(0)})
		expect("renew, another's", renew("n.2"), int64(0))
		if left := client.PTTL(ctx, k.Lock).Val(); left > 0 {
			t.Errorf("renewed another holder's lock for %v", left)
		}
		expect("renew, ours", renew("n.1"), int64(1))
		if left := client.PTTL(ctx, k.Lock).Val(); left < time.Minute {
			t.Errorf("renewed for %v", left)
		}
		expect("leave, ours", leave("n.1"), int64(1))
		if holder := client.Get(ctx, k.Lock).Val(); holder != "n.2" {
			t.Errorf("the lock went to %q", holder)
		}
		expect("leave, another's", leave("n.1"), int64(0))
		expect("leave, ours", leave("n.2"), int64(1))
		expect("release, free", release("n.2"), int64(0))
		expect("enter, free", enter("n.2"), []any{"held", int64(0)})
		expect("release, another's", release("n.1"), int64(0))
		client.Persist(ctx, k.Lock)
		expect("enter, another's", enter("n.1"), []any{"first", int64(-1)})
		expect("release, wanted", release("n.2"), int64(0))
		if holder, waiting := client.Get(ctx, k.Lock).Val(), client.LLen(ctx, k.Queue).Val(); holder != "n.2" || waiting != 1 {
			t.Errorf("the lock went to %q, and %d wait", holder, waiting)
		}
		expect("leave, ours", leave("n.2"), int64(1))
		expect("release, ours", release("n.1"), int64(1))
		if left := client.Exists(ctx, k.Lock, k.Queue).Val(); left != 0 {
			t.Errorf("%d keys left", left)
		}
	})
}

func TestAnswerOfEnter(t *testing.T) {
	t.Parallel()
	for _, reply := range []any{nil, "held", []any{}, []any{"held"}, []any{"no such word", int64(0)}, []any{int64(1), int64(2)}} {
		if at, err := (lockOnly{}).Answer(reply, nil); err == nil {
			t.Errorf("%v was read as %v", reply, at)
		}
	}
}

// A pause is never negative for long, never zero by a panic, and short enough for a grant that lasts a millisecond.
func TestPauses(t *testing.T) {
	t.Parallel()
	for _, most := range []time.Duration{1, time.Millisecond, time.Hour} {
		for range 1000 {
			if d := jitter(most); d < time.Millisecond || d > min(most, 100*time.Millisecond)+time.Millisecond {
				t.Fatalf("jitter(%v) is %v", most, d)
			}
		}
	}
}
