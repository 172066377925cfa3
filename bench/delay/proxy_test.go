package delay_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/delay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo starts a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		tasks.Wait()
	})
	return listener.Addr().String()
}

func start(t *testing.T, oneWay time.Duration) *delay.Proxy {
	t.Helper()
	proxy, err := delay.Start(t.Context(), echo(t), oneWay)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return proxy
}

func dial(t *testing.T, proxy *delay.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestRoundTripTakesTwiceTheDelay(t *testing.T) {
	t.Parallel()
	const oneWay = 500 * time.Microsecond
	conn := dial(t, start(t, oneWay))
	for end := time.Now().Add(time.Minute); ; {
		trips := roundTrips(t, conn)
		if trips[0] < 2*oneWay {
			t.Errorf("fastest round trip %v, less than twice %v", trips[0], oneWay)
		}
		// A busy machine delays some, or all for a while; the fastest tenth shows the proxy itself.
		got := trips[len(trips)/10]
		if got <= 6*oneWay {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a tenth of the round trips within %v, far above twice %v", got, oneWay)
		}
	}
}

// roundTrips makes some, and returns how long they took, the fastest first.
func roundTrips(t *testing.T, conn net.Conn) (trips []time.Duration) {
	t.Helper()
	buf := make([]byte, 4)
	for range 40 {
		begun := time.Now()
		if _, err := io.WriteString(conn, "ping"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			t.Fatal(err)
		}
		trips = append(trips, time.Since(begun))
	}
	slices.Sort(trips)
	return trips
}

func TestManyUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	const (
		oneWay   = 10 * time.Millisecond
		messages = 500
	)
	conn := dial(t, start(t, oneWay))
	begun := time.Now()
	go func() {
		for range messages {
			if _, err := io.WriteString(conn, "ping"); err != nil {
				return
			}
		}
	}()
	if _, err := io.CopyN(io.Discard, conn, messages*4); err != nil {
		t.Fatal(err)
	}
	// One after another they would take ten seconds.
	if took := time.Since(begun); took < 2*oneWay || took > 5*time.Second {
		t.Errorf("%d messages took %v, want little more than %v", messages, took, 2*oneWay)
	}
}

func TestBytesArriveWholeAndInOrder(t *testing.T) {
	t.Parallel()
	proxy := start(t, time.Millisecond)
	var clients sync.WaitGroup
	for range 4 {
		conn := dial(t, proxy)
		clients.Go(func() {
			sent := make([]byte, 8<<20)
			if _, err := rand.Read(sent); err != nil {
				t.Error(err)
				return
			}
			go func() {
				_, _ = conn.Write(sent)
				_ = conn.CloseWrite()
			}()
			got, err := io.ReadAll(conn) // ends only if the end of the stream is passed on
			if err != nil {
				t.Error(err)
				return
			}
			if !bytes.Equal(got, sent) {
				t.Errorf("got %d bytes back, other than the %d sent", len(got), len(sent))
			}
		})
	}
	clients.Wait()
}

func TestOneStalledReceiverStopsNoOther(t *testing.T) {
	t.Parallel()
	proxy := start(t, time.Millisecond)
	stalled, other := dial(t, proxy), dial(t, proxy)
	go func() { // never reads what comes back
		_, _ = stalled.Write(make([]byte, 64<<20))
	}()
	if err := other.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4)
	for range 50 {
		if _, err := io.WriteString(other, "ping"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(other, buf); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCloseCutsConnections(t *testing.T) {
	t.Parallel()
	proxy, err := delay.Start(t.Context(), echo(t), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, proxy)
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatal(err)
	}
	if err := proxy.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err == nil {
		return // closed in order is as good as reset
	}
}

func TestStartRefusesNoDelay(t *testing.T) {
	t.Parallel()
	if _, err := delay.Start(t.Context(), "127.0.0.1:1", 0); err == nil {
		t.Error("started without a delay")
	}
}
