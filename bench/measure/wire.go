package measure

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// Wire counts what passes over every connection that was dialled through it.
//
// A round trip is a burst of writes on a connection after something was read
// from it: a pipeline is one, however many commands it carries. On a connection
// that many goroutines share, bursts overlap the replies of others, and the
// count is that of flushes. What a subscription receives has no write of its
// own and adds only bytes.
type Wire struct {
	trips atomic.Int64
	in    atomic.Int64
	out   atomic.Int64
}

// Traffic is what a Wire had counted at one moment.
type Traffic struct {
	RoundTrips int64
	Bytes      int64 // both ways, without TCP's headers
}

// Dial opens a connection and counts it from then on.
func (w *Wire) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &tap{Conn: conn, wire: w}, nil
}

// Traffic returns the counts so far.
func (w *Wire) Traffic() Traffic {
	return Traffic{RoundTrips: w.trips.Load(), Bytes: w.in.Load() + w.out.Load()}
}

// Since returns what has passed since an earlier reading.
func (t Traffic) Since(earlier Traffic) Traffic {
	return Traffic{RoundTrips: t.RoundTrips - earlier.RoundTrips, Bytes: t.Bytes - earlier.Bytes}
}

// tap is one counted connection.
type tap struct {
	net.Conn

	wire  *Wire
	burst atomic.Bool // written to since the last read
}

func (t *tap) Write(p []byte) (int, error) {
	if !t.burst.Swap(true) {
		t.wire.trips.Add(1)
	}
	n, err := t.Conn.Write(p)
	t.wire.out.Add(int64(n))
	return n, err
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.burst.Store(false)
		t.wire.in.Add(int64(n))
	}
	return n, err
}
