package invalidate

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second

	// minConnectTimeout leaves room for a slow handshake, however short the
	// probe timeout is.
	minConnectTimeout = 5 * time.Second
)

var (
	errSilent      = errors.New("no probe came back in time")
	errReconnected = errors.New("the client replaced the connection")
	errMoved       = errors.New("the masters of the cluster have changed")
)

// read subscribes again after each loss, until ctx ends. A life is the time of one
// subscription.
func (f *Feed) read(ctx context.Context) {
	pause := minPause
	for {
		err := f.live(ctx)
		confirmed, _ := f.proof.state()
		proven := f.proof.lose() // before OnForget, so that no copy is used while the copies are dropped
		if ctx.Err() != nil {
			return
		}
		if f.down.IsZero() { // once for each outage, however many tries it takes
			f.down = time.Now()
			f.cfg.Logger.WarnContext(ctx, "holdfast: invalidation channel disconnected; every read queries Redis until it is back", "error", err)
		}
		if confirmed {
			f.counters.losses.Add(1)
			f.cfg.OnForget()
		}
		if proven {
			pause = minPause
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, maxPause)
	}
}

// sleep waits for d less up to half of it, so that nodes which lost the same
// server do not come back in step. It returns false once ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d - rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// live subscribes on a fresh connection and reads it until it fails. The error
// is never nil.
func (f *Feed) live(ctx context.Context) error {
	start := time.Now()
	sub := rdb.NewSubscription(ctx, f.client)
	connectCtx, connected := context.WithTimeout(ctx, max(f.cfg.Timeout, minConnectTimeout))
	defer connected()
	if err := sub.Subscribe(connectCtx, f.cfg.channels()...); err != nil {
		// Another master may have the channel's slot by now, and while no probes are
		// sent nothing else would notice.
		if cluster, ok := f.client.(cluster); ok {
			cluster.ReloadState(ctx)
		}
		return errors.Join(err, sub.Close())
	}

	var guard sync.WaitGroup
	defer guard.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	guard.Go(func() { f.guard(ctx, cancel, sub, start) })

	err := f.listen(ctx, sub)
	if cause := context.Cause(ctx); cause != nil {
		return cause // err only says that the guard closed the connection
	}
	return err
}

// guard closes the subscription when ctx ends. It ends the life if no probe
// returns in time, or if probes go through other masters than before. A deadline
// on the socket would not do: the client relaxes it while the server is under
// maintenance, and messages other than probes extend it.
func (f *Feed) guard(ctx context.Context, cancel context.CancelCauseFunc, sub *rdb.Subscription, start time.Time) {
	defer func() { _ = sub.Close() }() // the connection is given up, whatever state it is in
	timer := time.NewTimer(time.Until(f.proof.silentAt(start)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.moved:
			cancel(errMoved)
			return
		case <-timer.C:
		}
		left := time.Until(f.proof.silentAt(start))
		if left <= 0 {
			cancel(errSilent)
			return
		}
		timer.Reset(left)
	}
}

// listen waits for the confirmation of all channels, announces the new life
// and handles its messages.
func (f *Feed) listen(ctx context.Context, sub *rdb.Subscription) error {
	for missing := f.cfg.channels(); len(missing) > 0; {
		received, err := sub.Receive(0)
		if err != nil {
			return err
		}
		// Messages that come between the confirmations need no handling: OnForget follows.
		if s, ok := received.(*redis.Subscription); ok && s.Kind == "subscribe" {
			missing = slices.DeleteFunc(missing, func(c string) bool { return c == s.Channel })
		}
	}

	// A copy that was fetched before the server confirmed may have missed an
	// invalidation. Probes count only after such copies are dropped.
	f.counters.subscriptions.Add(1)
	f.cfg.OnForget()
	f.proof.confirm(time.Now())
	f.cfg.OnRecover()
	if !f.down.IsZero() {
		f.cfg.Logger.InfoContext(ctx, "holdfast: invalidation channel reconnected", "after", time.Since(f.down).Round(time.Millisecond))
		f.down = time.Time{}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}

	for {
		received, err := sub.Receive(0)
		if err != nil {
			return err
		}
		switch received := received.(type) {
		case *redis.Message:
			f.handle(ctx, received.Payload)
		case *redis.Subscription:
			// A second confirmation is the only trace of a connection that was
			// replaced, for instance because the server announced a move.
			return errReconnected
		}
	}
}

// handle acts on one message.
func (f *Feed) handle(ctx context.Context, payload string) {
	f.counters.messages.Add(1)
	m, err := Parse(payload)
	switch {
	case errors.Is(err, ErrUnknownKind):
		f.counters.unknown.Add(1)
	case err != nil:
		// The log gets no payload, and no line for each of many.
		if n := f.counters.malformed.Add(1); n&(n-1) == 0 {
			f.cfg.Logger.WarnContext(ctx, "holdfast: malformed message on the invalidation channel",
				"bytes", len(payload), "so_far", n)
		}
		if m.Kind == KindInvalidation {
			f.cfg.OnForget() // a session has changed, and it may be any of them
		}
	case m.Kind == KindInvalidation:
		f.counters.invalidations.Add(1)
		f.cfg.OnInvalidate(m.ID)
	case m.Kind == KindGrant:
		f.counters.grants.Add(1)
		f.cfg.OnGrant(m.Token)
	case m.Kind == KindRecall:
		f.counters.recalls.Add(1)
		f.cfg.OnRecall(m.Token)
	case m.Kind == KindProbe && m.Instance == f.instance:
		f.counters.probesReturned.Add(1)
		if f.proof.heard(m.Round, m.Master, time.Now()) {
			f.cfg.Logger.WarnContext(ctx, "holdfast: invalidations may have been lost; local cache cleared")
			f.cfg.OnForget()
			f.proof.mend()
		}
	}
}
