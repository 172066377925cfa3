package lock

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// silence is after how much of it the listener asks the server for a sign of life; after twice that, without one, it
// connects anew.
const silence = 10 * time.Second

// listen receives the grants for this node, when nobody else does. Messages that are lost cost the waiters time, not
// safety, so the connection is only kept alive; package invalidate proves its own.
func (l *Locker) listen(client redis.UniversalClient) {
	for l.stop.Err() == nil {
		err := l.hear(client)
		if l.stop.Err() != nil {
			return
		}
		l.cfg.Logger.Warn("holdfast: the connection for grants was lost; waiters ask again by themselves", "error", err)
		select {
		case <-time.After(jitter(time.Second)):
		case <-l.stop.Done():
		}
	}
}

// hear subscribes once and reads until the connection is lost.
func (l *Locker) hear(client redis.UniversalClient) error {
	sub := client.Subscribe(l.stop, l.space.Node(l.cfg.Node))
	defer sub.Close() //nolint:errcheck // there is nobody to tell
	release := context.AfterFunc(l.stop, func() { _ = sub.Close() })
	defer release()
	quiet := 0
	for {
		msg, err := sub.ReceiveTimeout(l.stop, silence)
		switch {
		case err != nil && isTimeout(err) && quiet == 0:
			quiet++
			if err := sub.Ping(l.stop); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		quiet = 0
		switch m := msg.(type) {
		case *redis.Subscription:
			l.Recheck() // connected, perhaps again: what was sent before is lost
		case *redis.Message:
			if len(m.Payload) > 0 && m.Payload[0] == queue.GrantKind {
				l.Granted(m.Payload[1:])
			}
		}
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool }) //nolint:errorlint // net.Error by what it can do
	return ok && t.Timeout()
}
