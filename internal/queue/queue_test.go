package queue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// Each function of queue.lua alone.
var (
	enter = queue.NewLockScript(`local word, ms =
enter(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3] ~= '', tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7])
return {word, ms}`)
	leave = queue.NewScript(`return leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3])`)
	wake  = queue.NewScript(`wake(KEYS[1], KEYS[2], ARGV[1]) return 0`)
)

const (
	grant  = 20 * time.Second
	life   = 40 * time.Second
	lease  = 60 * time.Second
	waiter = true // of enter's parameter waited
	fresh  = false
)

// lock is a lock and its queue on a server, and what is published to the node "n".
type lock struct {
	t        *testing.T
	client   redis.UniversalClient
	keys     keys.Keys
	settings queue.Settings
	sub      *redis.PubSub
}

func each(t *testing.T, fn func(l *lock)) {
	t.Helper()
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		space := keys.In(b.Prefix)
		l := &lock{
			t: t, client: b.Client(t), keys: space.Of("id"),
			settings: queue.Settings{NodePrefix: space.NodePrefix(), MaxWaiters: 3, Life: life, Grant: grant, TTL: lease},
		}
		l.sub = l.client.Subscribe(t.Context(), space.Node("n"))
		t.Cleanup(func() { l.sub.Close() })
		if _, err := l.sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		fn(l)
		l.client.Del(context.Background(), l.keys.Lock, l.keys.Queue)
	})
}

// is sets who holds the lock, "" if it is free, and who waits.
func (l *lock) is(holder string, waiting ...string) {
	l.t.Helper()
	ctx := l.t.Context()
	l.client.Del(ctx, l.keys.Lock, l.keys.Queue)
	if holder != "" {
		l.client.Set(ctx, l.keys.Lock, holder, lease)
	}
	for _, token := range waiting {
		l.client.RPush(ctx, l.keys.Queue, token)
	}
}

// becomes checks who holds the lock and who waits.
func (l *lock) becomes(holder string, waiting ...string) {
	l.t.Helper()
	if got := l.client.Get(l.t.Context(), l.keys.Lock).Val(); got != holder {
		l.t.Errorf("%q holds the lock, want %q", got, holder)
	}
	if got := l.client.LRange(l.t.Context(), l.keys.Queue, 0, -1).Val(); !slices.Equal(got, waiting) {
		l.t.Errorf("%q wait, want %q", got, waiting)
	}
}

func (l *lock) enter(token string, waited bool) queue.Status {
	l.t.Helper()
	args := queue.Ask{Token: token, Waited: waited, Settings: &l.settings}.Args()
	answer, err := redis.NewScript(enter.Source()).Run(l.t.Context(), l.client, []string{l.keys.Lock, l.keys.Queue}, args...).Slice()
	if err != nil {
		l.t.Fatal(err)
	}
	at, err := queue.Parse(answer[0].(string), answer[1].(int64))
	if err != nil {
		l.t.Fatal(err)
	}
	return at
}

// stands checks what enter answers.
func (l *lock) stands(token string, waited bool, want queue.Position) {
	l.t.Helper()
	at := l.enter(token, waited)
	if at.Position != want {
		l.t.Errorf("%s stands at %v, want %v", token, at.Position, want)
	}
	if want != queue.Queued && at.Expiry != 0 {
		l.t.Errorf("%s is told of an expiry in %v", token, at.Expiry)
	}
}

func (l *lock) leave(token string, want int) {
	l.t.Helper()
	got, err := redis.NewScript(leave.Source()).Run(l.t.Context(), l.client, []string{l.keys.Lock, l.keys.Queue},
		l.settings.NodePrefix, token, grant.Milliseconds()).Int()
	if err != nil || got != want {
		l.t.Errorf("%s left with %d (%v), want %d", token, got, err, want)
	}
}

// tells checks the messages to the node.
func (l *lock) tells(payloads ...string) {
	l.t.Helper()
	for _, want := range append(payloads, "end") {
		if want == "end" {
			// By way of the script's server: in a cluster, messages of others may overtake.
			l.client.Eval(l.t.Context(), `return redis.call('PUBLISH', ARGV[1], ARGV[2])`, []string{l.keys.Lock},
				l.settings.NodePrefix+"n", "end")
		}
		ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
		msg, err := l.sub.ReceiveMessage(ctx)
		cancel()
		if err != nil {
			l.t.Fatal(err)
		}
		if got := msg.Payload; got != want {
			l.t.Fatalf("the node was told %q, want %q", got, want)
		}
	}
}

// lives checks the life of a key.
func (l *lock) lives(key string, want time.Duration) {
	l.t.Helper()
	if got := l.client.PTTL(l.t.Context(), key).Val(); got > want || got < want-10*time.Second {
		l.t.Errorf("%s lives for %v, want %v", key, got, want)
	}
}

func TestEnter(t *testing.T) {
	each(t, func(l *lock) {
		l.is("")
		l.stands("n.1", fresh, queue.Held)
		l.becomes("n.1")
		l.lives(l.keys.Lock, lease)

		l.is("n.1")
		l.client.PExpire(l.t.Context(), l.keys.Lock, time.Second)
		l.stands("n.1", fresh, queue.Held) // ours already, and renewed
		l.stands("n.1", fresh, queue.Held) // asked again
		l.becomes("n.1")
		l.lives(l.keys.Lock, lease)

		at := l.enter("n.2", fresh)
		if at.Position != queue.Queued || at.Expiry > lease || at.Expiry < lease-10*time.Second {
			l.t.Errorf("n.2 is told %+v", at)
		}
		l.lives(l.keys.Queue, life)
		l.stands("n.3", fresh, queue.Queued)
		l.stands("n.2", fresh, queue.Queued) // asked again: it keeps its place
		l.stands("n.2", waiter, queue.Queued)
		l.becomes("n.1", "n.2", "n.3")
		l.tells("rn.1", "rn.1", "rn.1") // each time that the first of them asks
	})
}

// A question keeps the queue alive.
func TestEnterProlongsTheQueue(t *testing.T) {
	each(t, func(l *lock) {
		l.is("n.1", "n.2")
		l.client.Expire(l.t.Context(), l.keys.Queue, time.Second)
		l.stands("n.2", waiter, queue.Queued)
		l.lives(l.keys.Queue, life)
	})
}

// Redislock gives a free lock to the first that asks. Those who were not first in the queue pass it on.
func TestEnterOutOfTurn(t *testing.T) {
	each(t, func(l *lock) {
		l.is("n.9", "n.1", "n.2")
		l.stands("n.9", fresh, queue.Queued) // a newcomer
		l.becomes("n.1", "n.2", "n.9")
		l.lives(l.keys.Lock, grant)
		l.tells("gn.1")

		l.is("n.2", "n.1", "n.2", "n.3")
		l.stands("n.2", waiter, queue.Queued) // a waiter
		l.becomes("n.1", "n.2", "n.3")
		l.lives(l.keys.Lock, grant)
		l.tells("gn.1")

		l.is("n.1", "n.1", "n.2")
		l.stands("n.1", waiter, queue.Held) // it is its turn
		l.becomes("n.1", "n.2")
		l.tells()

		l.is("n.1", "n.2")
		l.stands("n.1", waiter, queue.Held) // a grant
		l.becomes("n.1", "n.2")
		l.tells()
	})
}

func TestEnterFull(t *testing.T) {
	each(t, func(l *lock) {
		l.is("n.1", "n.2", "n.3", "n.4")
		l.stands("n.5", fresh, queue.Full)
		l.stands("n.4", fresh, queue.Queued) // who waits already may ask again
		l.becomes("n.1", "n.2", "n.3", "n.4")
		l.stands("n.5", waiter, queue.Queued) // and who has waited is not turned away
		l.becomes("n.1", "n.2", "n.3", "n.4", "n.5")
		l.tells()

		l.is("n.5", "n.2", "n.3", "n.4")
		l.stands("n.5", fresh, queue.Full) // out of turn
		l.becomes("n.2", "n.3", "n.4")
		l.tells("gn.2")
	})
}

func TestLeave(t *testing.T) {
	each(t, func(l *lock) {
		l.is("")
		l.leave("n.1", 0)
		l.is("n.1")
		l.leave("n.1", 1)
		l.becomes("")
		l.leave("n.1", 0)

		l.is("n.1", "n.2", "n.3")
		l.leave("n.3", 0)
		l.becomes("n.1", "n.2")
		l.tells()
		l.leave("n.1", 1)
		l.becomes("n.2")
		l.lives(l.keys.Lock, grant)
		l.tells("gn.2")

		l.is("n.1", "n.1", "n.2") // it holds the lock out of turn, and still waits
		l.leave("n.1", 1)
		l.becomes("n.2")
		l.tells("gn.2")
	})
}

func TestWake(t *testing.T) {
	each(t, func(l *lock) {
		for _, holder := range []string{"n.1", ""} {
			l.is(holder, "n.2", "m.1", "n.3")
			if err := redis.NewScript(wake.Source()).Run(l.t.Context(), l.client, []string{l.keys.Lock, l.keys.Queue}, l.settings.NodePrefix).Err(); err != nil {
				l.t.Fatal(err)
			}
			l.becomes("")
			l.tells("gn.2", "gn.3")
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]queue.Status{
		"held":   {Position: queue.Held},
		"queued": {Position: queue.Queued, Expiry: 7 * time.Millisecond},
		"full":   {Position: queue.Full},
	} {
		if got, err := queue.Parse(word, 7); err != nil || got != want {
			t.Errorf("%s: got %+v (%v), want %+v", word, got, err, want)
		}
	}
	if _, err := queue.Parse("absent", 0); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
}
