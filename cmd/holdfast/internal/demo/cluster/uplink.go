package cluster

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
)

// uplink is one replica's way to Redis.
type uplink struct {
	*redis.Client
	conns *conns
	tap   *wiretap.Proxy // nil unless round trips are counted
}

// uplink returns a client whose connections can be held and cut, and with count a proxy that counts round trips on the wire.
func (b *backend) uplink(count bool) (*uplink, error) {
	options := *b.options
	l := &uplink{conns: newConns()}
	if count && options.TLSConfig == nil { // nothing can be counted inside TLS
		tap, err := wiretap.Listen(options.Addr)
		if err != nil {
			return nil, fmt.Errorf("listen for counting round trips: %w", err)
		}
		tap.CountOnly()
		tap.Ignore("PUBLISH") // alone it is a heartbeat; invalidations are published inside the commit's script
		l.tap, options.Addr = tap, tap.Addr()
	}
	options.DialTimeout = 5 * time.Second // the client's default, which its dialer does not set
	options.Dialer = l.conns.dialer(redis.NewDialer(&options))
	l.Client = redis.NewClient(&options)
	return l, nil
}

// trips is the number of round trips so far, and false if they are not counted.
func (l *uplink) trips() (int, bool) {
	if l.tap == nil {
		return 0, false
	}
	return l.tap.Trips(), true
}

func (l *uplink) close() error {
	err := l.Close()
	if l.tap != nil {
		_ = l.tap.Close() // its clients have gone
	}
	return err
}
