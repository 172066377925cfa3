package target

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// silent are the servers of a cluster or a set that did not answer. No connection to them is tried, so that a command waits
// for each of them once and not with every call.
type silent struct {
	mu    sync.Mutex
	since map[string]time.Time // of the last probe
}

// probeAgain is after how long a silent server is probed again: some commands run for long, and it may be back.
const probeAgain = 5 * time.Second

var errSilent = errors.New("the server does not answer")

// dial is the dialer of clients that know several servers.
func (t *Target) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if t.isSilent(ctx, addr) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errSilent}
	}
	return redis.NewDialer(t.cfg.options(addr))(ctx, network, addr)
}

func (t *Target) isSilent(ctx context.Context, addr string) bool {
	t.silent.mu.Lock()
	defer t.silent.mu.Unlock() // while it is probed: others would wait for as long
	since, known := t.silent.since[addr]
	if !known || time.Since(since) < probeAgain {
		return known
	}
	if t.answers(ctx, addr) {
		delete(t.silent.since, addr)
		return false
	}
	t.silent.since[addr] = time.Now()
	return true
}

// note keeps the masters that do not answer.
func (t *Target) note(wounds []Wound) {
	t.silent.mu.Lock()
	defer t.silent.mu.Unlock()
	for _, w := range wounds {
		t.silent.since[w.Addr] = time.Now()
	}
}

// brief are options for a question that must not take long.
func (t *Target) brief(addr string) *redis.Options {
	o := t.cfg.options(addr)
	limit := min(ProbeTime, t.cfg.Timeout)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = limit, limit, limit
	return o
}

// answers reports whether a server answers at all: a refusal is an answer.
func (t *Target) answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, min(ProbeTime, t.cfg.Timeout))
	defer cancel()
	c := redis.NewClient(t.brief(addr))
	defer c.Close()
	err := c.Ping(ctx).Err()
	_, answer := err.(redis.Error) //nolint:errorlint // an answer is never wrapped
	return err == nil || answer
}

// answering asks all servers at once and returns those that answer, in their order.
func (t *Target) answering(ctx context.Context, addrs []string) []string {
	heard := make([]bool, len(addrs))
	var all sync.WaitGroup
	for i, addr := range addrs {
		all.Go(func() { heard[i] = t.answers(ctx, addr) })
	}
	all.Wait()
	var out []string
	for i, addr := range addrs {
		if heard[i] {
			out = append(out, addr)
		}
	}
	return out
}

// keepAnswering drops the seeds that do not answer, or all but the first if none does: its error stands for the others.
func (t *Target) keepAnswering(ctx context.Context) {
	if len(t.cfg.seeds) < 2 {
		return
	}
	some := t.answering(ctx, t.cfg.seeds)
	if len(some) == 0 {
		some = t.cfg.seeds[:1]
	}
	t.cfg.seeds = some
}

// LivingID returns an ID of no session, at a master that answers if there is any.
func (t *Target) LivingID(ctx context.Context) string {
	id := keys.Random(128)
	cluster, ok := t.Client.(*redis.ClusterClient)
	for range 100 {
		if !ok {
			break
		}
		master, err := cluster.MasterForKey(ctx, keys.In(t.Prefix).Of(id).Record)
		if err != nil || !slices.ContainsFunc(t.Wounds, func(w Wound) bool { return w.Addr == master.Options().Addr }) {
			break
		}
		id = keys.Random(128)
	}
	return id
}
