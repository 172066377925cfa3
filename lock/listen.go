package lock

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/rdb"
)

// silence is how long the listener receives nothing before it sends a PING. If nothing comes for as long again, it
// reconnects.
const silence = 10 * time.Second

// reconnectPause is how long the listener waits before it reconnects.
const reconnectPause = 100 * time.Millisecond

// listen receives the grants and recalls for this node, unless Config.Node is set. Lost messages cost the waiters time, not
// safety. So the listener only keeps its connection alive, while package invalidate proves that it misses nothing.
func (l *Locker) listen() {
	for warned := false; ; {
		confirmed, err := l.hear()
		if l.stop.Err() != nil {
			return
		}
		if confirmed || !warned { // once each time that the connection is lost
			l.cfg.Logger.Warn("holdfast: lock notifications disconnected; waiters retry on a timer", "error", err)
			warned = true
		}
		select {
		case <-time.After(reconnectPause + jitter(reconnectPause)):
		case <-l.stop.Done():
		}
	}
}

// hear subscribes once and reads until the connection is lost.
func (l *Locker) hear() (confirmed bool, err error) {
	sub := rdb.NewSubscription(l.stop, l.db.Client())
	done := make(chan struct{})
	_, err = rdb.Call(l.stop, l.db, func(ctx context.Context) (struct{}, error) {
		defer close(done)
		return struct{}{}, sub.Subscribe(ctx, l.space.Node(l.cfg.Node))
	})
	if err != nil {
		go func() { // it may still be connecting, and Close would wait for that
			<-done
			_ = sub.Close()
		}()
		return false, err
	}
	defer func() { _ = sub.Close() }()
	release := context.AfterFunc(l.stop, func() { _ = sub.Close() })
	defer release()

	asked := false
	for {
		msg, err := sub.Receive(silence)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && !asked {
			asked = true
			if err := sub.Ping(l.stop); err != nil {
				return confirmed, err
			}
			continue
		}
		if err != nil {
			return confirmed, err
		}
		asked = false
		switch m := msg.(type) {
		case *redis.Subscription:
			confirmed = true
			l.Recheck() // what was sent before is lost
		case *redis.Message:
			l.received(m.Payload)
		}
	}
}

// received acts on a message; those of other kinds are not the Locker's.
func (l *Locker) received(payload string) {
	if payload == "" {
		return
	}
	switch token := payload[1:]; payload[0] {
	case keys.GrantMessage:
		l.Granted(token)
	case keys.RecallMessage:
		l.Recalled(token)
	}
}
