package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/report"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// failed is a check that met an error of Redis. If the user lacks a permission, the advice names it.
func failed(t *target.Target, name string, err error, rights string) Check {
	found, advice, ok := strings.Cut(t.Explain(err).Error(), ": ")
	switch {
	case redis.IsPermissionError(err):
		found, advice = found+": "+advice, rights
	case !ok:
		advice = "see the server's log"
	}
	return Check{Name: name, Status: Fail, Found: found, Advice: advice}
}

// rightsOf is the rule of a user who may do what scripts do.
func rightsOf(t *target.Target) string {
	prefix := report.Text(t.Prefix)
	return fmt.Sprintf("ACL SETUSER … ~%s:* &%s:* +@all -@admin -@dangerous, or the list in docs/operations.md", prefix, prefix)
}

// clock compares: expiry is Redis' own, but cookies and logs of the applications are dated by their machines.
func clock(ctx context.Context, t *target.Target) Check {
	if err := t.KeepClock(ctx); err != nil {
		return failed(t, "clock", err, "")
	}
	offset, spread := t.Offset()
	if spread == 0 { // no answer takes no time
		return Check{Name: "clock", Status: Warn, Found: mayNotAsk, Advice: fmt.Sprintf(allow, "TIME", "time")}
	}
	c := Check{Name: "clock", Status: OK, Found: fmt.Sprintf("%v from this machine's, to ±%v", round(offset), round(spread))}
	if off := offset.Abs() - spread; off > time.Second {
		c.Status = Warn
		c.Advice = "run an NTP client on both: sessions end by the server's clock, so cookies and logs disagree with it"
	}
	return c
}

func round(d time.Duration) time.Duration {
	if d.Abs() < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

// scripts runs what every request needs on a session of its own: create, open, change, remove.
func scripts(ctx context.Context, t *target.Target) Check {
	const name = "scripts"
	rights := rightsOf(t)
	id := t.LivingID(ctx)
	created, err := t.Store.Commit(ctx, &store.Commit{
		ID: id, Mode: store.Create, Hash: keys.Random(256), Lifetime: new(10 * time.Second),
		Set: map[string]store.Write{"doctor": {Data: `"examined"`}},
	})
	if err != nil {
		return failed(t, name, err, rights)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.Timeout())
		defer cancel()
		_, _ = t.Store.Remove(clean, id) // it expires soon
	}()
	opened, err := t.Store.Open(ctx, store.Query{ID: id})
	if err != nil {
		return failed(t, name, err, rights)
	}
	_, err = t.Store.Commit(ctx, &store.Commit{
		ID: id, Mode: store.Whole, Base: opened.Record, Set: map[string]store.Write{"doctor": {Data: `"changed"`}},
	})
	if err != nil {
		return failed(t, name, err, rights)
	}
	// Committed a second time on what is no longer current, it must be refused.
	_, err = t.Store.Commit(ctx, &store.Commit{
		ID: id, Mode: store.Whole, Base: created.Record, Set: map[string]store.Write{"doctor": {Data: `"lost"`}},
	})
	if !errors.Is(err, store.ErrConflict) {
		return Check{Name: name, Status: Fail, Found: "a stale commit was not refused", Advice: "this server does not run scripts as Redis does: use another"}
	}
	return Check{Name: name, Status: OK, Found: "a session was created, opened, changed and removed, and a stale change was refused"}
}

// locks takes a lock and gives it back. It cleans up as scripts does, but not after an error.
func locks(ctx context.Context, t *target.Target) Check {
	const name = "locks"
	rights := rightsOf(t)
	l, err := lock.New(t.Client, &lock.Config{
		Prefix: t.Prefix, Timeout: t.Timeout(), Wait: t.Timeout(), Node: keys.NewNode(),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return failed(t, name, err, rights)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.Timeout())
		defer cancel()
		if err != nil {
			cancel() // it would try to release for as long as it may
		}
		_ = l.Close(clean) // what could not be released expires
	}()
	lease, err := l.Acquire(ctx, t.LivingID(ctx))
	if err == nil {
		err = lease.Release(ctx)
	}
	if err != nil {
		return failed(t, name, err, rights)
	}
	return Check{Name: name, Status: OK, Found: "a lock was taken and released"}
}

// messages sends through every master that answers what a node must hear.
func messages(nodes []node) func(context.Context, *target.Target) Check {
	return func(ctx context.Context, t *target.Target) Check {
		const name = "pub/sub"
		rights := fmt.Sprintf("ACL SETUSER … &%s:* +publish +subscribe", report.Text(t.Prefix))
		ctx, cancel := context.WithTimeout(ctx, t.Timeout())
		defer cancel()
		channel := keys.In(t.Prefix).Node(keys.NewNode())
		ps := nodes[0].client.Subscribe(ctx)
		defer ps.Close()
		if err := ps.Subscribe(ctx, channel); err != nil {
			return failed(t, name, err, rights)
		}
		if _, err := ps.ReceiveTimeout(ctx, t.Timeout()); err != nil {
			return failed(t, name, err, rights)
		}
		slowest := time.Duration(0)
		for _, n := range nodes {
			sent := time.Now()
			if err := n.client.Publish(ctx, channel, "doctor").Err(); err != nil {
				return failed(t, name, err, rights)
			}
			if _, err := ps.ReceiveTimeout(ctx, t.Timeout()); err != nil {
				return failed(t, name, err, rights)
			}
			slowest = max(slowest, time.Since(sent))
		}
		through := ""
		if len(nodes) > 1 {
			through = fmt.Sprintf(" through each of %d masters", len(nodes))
		}
		return Check{Name: name, Status: OK, Found: fmt.Sprintf("a message arrived within %v%s", round(slowest), through)}
	}
}

// slow is the p99 beyond which users notice: a writing request takes two round trips.
const (
	samples = 200
	slow    = 20 * time.Millisecond
)

// pings measures the masters that answer, in turn: a client of a cluster would also try the dead ones, again and again.
func pings(nodes []node) func(context.Context, *target.Target) Check {
	return func(ctx context.Context, t *target.Target) Check {
		next := 0
		return latency("ping", t, fmt.Sprintf(allow, "PING", "ping"), func() error {
			next++
			return nodes[next%len(nodes)].client.Ping(ctx).Err()
		})
	}
}

// scriptCalls measures the script that opens a session, on one that is not there.
func scriptCalls(ctx context.Context, t *target.Target) Check {
	id := t.LivingID(ctx)
	return latency("script", t, rightsOf(t), func() error {
		if _, err := t.Store.Open(ctx, store.Query{ID: id}); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
}

// latency warns where the user may not make the call: no request of an application needs PING, and what scripts may not do is
// a failure of its own.
func latency(name string, t *target.Target, rights string, call func() error) Check {
	took := make([]time.Duration, samples)
	for i := range took {
		begun := time.Now()
		err := call()
		if redis.IsPermissionError(err) {
			return Check{Name: name, Status: Warn, Found: mayNotAsk, Advice: rights}
		}
		if err != nil {
			return failed(t, name, err, "")
		}
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	p50, p99 := took[samples/2], took[samples*99/100]
	c := Check{Name: name, Status: OK, Found: fmt.Sprintf("p50 %v, p99 %v of %d", round(p50), round(p99), samples)}
	if p99 > slow {
		c.Status = Warn
		c.Advice = "move Redis closer, or check SLOWLOG and its load: every writing request waits for up to two round trips"
	}
	return c
}

// sessions counts, for as long as a person waits.
func sessions(ctx context.Context, t *target.Target) Check {
	const name, limit = "sessions", 5 * time.Second
	n, begun, all := 0, time.Now(), true
	err := t.Store.Scan(ctx, func(*store.Record) bool {
		n++
		all = time.Since(begun) < limit
		return all && ctx.Err() == nil
	})
	if err != nil {
		return failed(t, name, err, fmt.Sprintf("ACL SETUSER … ~%s:* +scan +@read: listing sessions needs it", report.Text(t.Prefix)))
	}
	size, err := t.DB.Client().DBSize(ctx).Result() // over all masters of a cluster
	if err != nil && !redis.IsPermissionError(err) {
		return failed(t, name, err, "")
	}
	word := ""
	if !all {
		word = "at least "
	}
	return Check{Name: name, Status: OK, Found: fmt.Sprintf("%s%d under the prefix %s; %d keys in all", word, n, report.Text(t.Prefix), size)}
}
