package lock_test

import (
	"context"
	"errors"
	"testing"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
)

// guarded asks for the lock and reads a value in the same round trip; where there is none it does not want the lock.
var guarded = queue.NewLockScript(`
local value = redis.call('GET', KEYS[3])
if not value then
  leave(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[6])
  return {'absent', 0}
end
local word, ms = enter(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3] ~= '', tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7])
return {word, ms, word == 'held' and value}`)

// reader is a script that reads. It belongs to one request.
type reader struct {
	keys  keys.Keys
	runs  int
	value any
}

var _ lock.Script = (*reader)(nil)

func (r *reader) Step(ask queue.Ask) queue.Step {
	r.runs++
	return queue.Step{Script: guarded, Keys: []string{r.keys.Lock, r.keys.Queue, r.keys.Record}, Args: ask.Args()}
}

func (r *reader) Answer(reply any, err error) (queue.Status, error) {
	if err != nil {
		return queue.Status{}, err
	}
	words, ok := reply.([]any)
	if !ok || len(words) < 2 {
		return queue.Status{}, errors.New("unexpected answer")
	}
	if words[0] == "absent" {
		return queue.Status{Position: queue.Refused}, nil
	}
	if len(words) > 2 {
		r.value = words[2]
	}
	return queue.Parse(words[0].(string), words[1].(int64))
}

func (f *fixture) reader() *reader { return &reader{keys: f.keys} }

// readInBackground acquires the lock with a script.
func (f *fixture) readInBackground(ctx context.Context, l *lock.Locker, r *reader, out chan<- acquired) {
	go func() {
		lease, err := l.AcquireWith(ctx, key, r)
		out <- acquired{name: "reader", lease: lease, err: err}
	}()
}

// stored puts the value there that readers want.
func (f *fixture) stored() {
	f.admin.Set(context.Background(), f.keys.Record, "value", 0)
	f.t.Cleanup(func() { f.admin.Del(context.Background(), f.keys.Record) })
}

func TestScriptRunsWithTheLock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		f.stored()
		l, p := tapped(t, f, b, lock.Config{})
		for range 2 { // the first time the server learns the script's script
			p.Reset()
			r := f.reader()
			lease, err := l.AcquireWith(t.Context(), key, r)
			if err != nil {
				t.Fatal(err)
			}
			if r.value != "value" || lease.State() != nil {
				t.Errorf("read %v, with the state %v", r.value, lease.State())
			}
			if got := f.admin.Get(t.Context(), f.keys.Lock).Val(); got != lease.Token() {
				t.Errorf("the lock is %q and the token %q", got, lease.Token())
			}
			if trips := p.Trips(); r.runs == 1 && trips > 2 {
				t.Errorf("took %d round trips", trips)
			}
			mustRelease(t, lease)
			if lease.Context().Err() != nil {
				t.Error("the release ended the work of a caller that goes on")
			}
		}
		mustTake(t, p, 2, "acquiring with a script, and releasing")
	})
}

// taking takes a free lock if a value is as expected.
var taking = rdb.NewScript(`
if redis.call('GET', KEYS[3]) ~= ARGV[2] or redis.call('LLEN', KEYS[2]) > 0 then return 0 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) and 1 or 0`)

// guesser is a reader that expects a value.
type guesser struct {
	*reader
	expects string
	tried   int
}

var _ queue.FastPath = (*guesser)(nil)

func (g *guesser) FastStep(ask queue.Ask) (queue.Step, bool) {
	g.tried++
	return queue.Step{
		Script: taking,
		Keys:   []string{g.keys.Lock, g.keys.Queue, g.keys.Record},
		Args:   []any{ask.Token, g.expects, ask.Settings.TTL.Milliseconds()},
	}, g.expects != ""
}

func (g *guesser) Answer(reply any, err error) (queue.Status, error) {
	if n, _ := reply.(int64); n > 0 {
		g.value = g.expects
		return queue.Status{Position: queue.Held}, err
	}
	return g.reader.Answer(reply, err)
}

// With a good guess the fast path suffices. With a bad one, or while another request has the lock, the full script follows.
func TestFastPath(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		f.stored()
		l, p := tapped(t, f, b, lock.Config{})
		acquire := func(expects string) (*lock.Lease, *guesser) {
			t.Helper()
			g := &guesser{reader: f.reader(), expects: expects}
			lease, err := l.AcquireWith(t.Context(), key, g)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.admin.Get(t.Context(), f.keys.Lock).Val(); got != lease.Token() || g.value != "value" {
				t.Errorf("the lock is %q, the token %q, and it read %v", got, lease.Token(), g.value)
			}
			return lease, g
		}
		for _, expects := range []string{"value", "something else"} { // the server learns the scripts
			lease, _ := acquire(expects)
			mustRelease(t, lease)
		}

		for _, c := range []struct {
			expects string
			asked   int
			trips   int
		}{{"value", 0, 2}, {"something else", 1, 3}, {"", 1, 2}} {
			p.Reset()
			lease, g := acquire(c.expects)
			mustRelease(t, lease)
			if g.tried != 1 || g.runs != c.asked {
				t.Errorf("expecting %q: %d tries of the fast path and %d full scripts, want %d", c.expects, g.tried, g.runs, c.asked)
			}
			mustTake(t, p, c.trips, "acquiring with the guess "+c.expects)
		}

		p.DropReplies(1)
		lease, g := acquire("value") // it has the lock then, under a token that is given up
		mustRelease(t, lease)
		if p.Dropped() != 1 || g.tried != 2 || g.runs != 0 {
			t.Errorf("%d answers were lost, with %d tries of the fast path and %d full scripts", p.Dropped(), g.tried, g.runs)
		}
	})
}

// A request that waits does not try the fast path again: the full script has to see its place in the queue.
func TestFastPathThatHasToWait(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		f.stored()
		holder := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
		l := f.locker(b.Client(t), lock.Config{})
		f.listening(2)
		g := &guesser{reader: f.reader(), expects: "value"}
		out := make(chan acquired)
		go func() {
			lease, err := l.AcquireWith(t.Context(), key, g)
			out <- acquired{name: "guesser", lease: lease, err: err}
		}()
		f.queued(1)
		mustRelease(t, holder)
		got := receive(t, out)
		if got.err != nil || g.tried != 1 || g.runs < 2 { // more often, if the grant came while it asked
			t.Fatalf("acquired %v after %d tries of the fast path and %d full scripts", got.err, g.tried, g.runs)
		}
		mustRelease(t, got.lease)
	})
}

// Without a script it is the lock alone, for a caller whose work goes on after the lease.
func TestWithoutAScript(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l, p := tapped(t, f, b, lock.Config{})
		lease, err := l.AcquireWith(t.Context(), key, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustRelease(t, lease)
		mustTake(t, p, 2, "acquiring and releasing")
		if lease.Context().Err() != nil {
			t.Error("the release ended the work of a caller that goes on")
		}
	})
}

func TestScriptRefusesTheLock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		l := f.locker(b.Client(t), lock.Config{})
		_, err := l.AcquireWith(t.Context(), key, f.reader())
		mustMatch(t, err, lock.ErrRefused)
		mustRelease(t, mustAcquire(t, l)) // the lock is free

		// What a waiter wants disappears meanwhile.
		f.stored()
		holder := mustAcquire(t, f.locker(b.Client(t), lock.Config{}))
		out := make(chan acquired)
		f.readInBackground(t.Context(), l, f.reader(), out)
		f.queued(1)
		f.admin.Del(t.Context(), f.keys.Record)
		mustRelease(t, holder)
		mustMatch(t, receive(t, out).err, lock.ErrRefused)
	})
}
