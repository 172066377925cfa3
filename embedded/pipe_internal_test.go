package embedded

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inPipe runs a test on the two ends of a pipe, with the clock of a bubble.
func inPipe(t *testing.T, fn func(t *testing.T, near, far net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe()
		defer near.Close()
		defer far.Close()
		fn(t, near, far)
	})
}

func TestPipeKeepsOrder(t *testing.T) {
	t.Parallel()
	inPipe(t, func(t *testing.T, near, far net.Conn) {
		var want bytes.Buffer
		for i := range 300 {
			chunk := bytes.Repeat([]byte{byte(i)}, i*7)
			want.Write(chunk)
			if n, err := near.Write(chunk); n != len(chunk) || err != nil {
				t.Fatal(n, err)
			}
			clear(chunk) // the pipe has a copy
			if i%3 == 0 {
				part := want.Next(i * 2)
				got := make([]byte, len(part))
				if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, part) {
					t.Fatalf("part %d: %v", i, err)
				}
			}
		}
		_ = near.Close()
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("rest after the close: %d bytes, %v; want %d", len(got), err, want.Len())
		}
	})
}

// Both ends write before either reads: nothing waits for a reader.
func TestPipeNeverBlocksAWriter(t *testing.T) {
	t.Parallel()
	inPipe(t, func(t *testing.T, near, far net.Conn) {
		big := strings.Repeat("x", 1<<20)
		for _, c := range []net.Conn{near, far} {
			if _, err := io.WriteString(c, big); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []net.Conn{near, far} {
			if _, err := io.ReadFull(c, make([]byte, len(big))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	t.Parallel()
	b := make([]byte, 8)
	inPipe(t, func(t *testing.T, near, far net.Conn) {
		start := time.Now()
		_ = near.SetReadDeadline(start.Add(time.Second))
		if _, err := near.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		var timeout net.Error
		if _, err := near.Read(b); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read after its deadline: %v", err)
		}
		_ = near.SetReadDeadline(time.Now().Add(time.Minute)) // a later one makes the connection good again
		time.AfterFunc(time.Second, func() { _, _ = far.Write([]byte("late")) })
		if n, err := near.Read(b); n != 4 || err != nil {
			t.Errorf("read before its deadline: %d, %v", n, err)
		}

		for name, then := range map[string]time.Duration{"moved up": 2 * time.Second, "passed": 0} {
			begun := time.Now()
			_ = near.SetReadDeadline(begun.Add(time.Hour))
			time.AfterFunc(time.Second, func() { _ = near.SetReadDeadline(begun.Add(then)) })
			if _, err := near.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != max(then, time.Second) {
				t.Errorf("%s while it reads: %v after %v", name, err, time.Since(begun))
			}
		}
		_ = near.SetDeadline(time.Now())
		if _, err := near.Write(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write after its deadline: %v", err)
		}
		_ = near.SetDeadline(time.Time{})
		if _, err := near.Write(b); err != nil {
			t.Errorf("write without a deadline: %v", err)
		}
	})
}

// Two readers of one end: each keeps its deadline, though the other is served.
func TestPipeReadersShareADeadline(t *testing.T) {
	t.Parallel()
	inPipe(t, func(t *testing.T, near, far net.Conn) {
		start := time.Now()
		_ = near.SetReadDeadline(start.Add(time.Minute))
		var served, expired int
		var mu sync.Mutex
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				_, err := near.Read(make([]byte, 1))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					served++
				} else if time.Since(start) == time.Minute {
					expired++
				}
			})
		}
		time.Sleep(time.Second)
		_, _ = far.Write([]byte("x"))
		readers.Wait()
		if served != 1 || expired != 1 {
			t.Errorf("%d served, %d expired in time", served, expired)
		}
	})
}

func TestPipeClose(t *testing.T) {
	t.Parallel()
	inPipe(t, func(t *testing.T, near, far net.Conn) {
		read := make(chan error, 2)
		for _, c := range []net.Conn{near, far} {
			go func() {
				_, err := c.Read(make([]byte, 1))
				read <- err
			}()
		}
		synctest.Wait()
		for range 2 {
			if err := near.Close(); err != nil {
				t.Error(err)
			}
		}
		if a, b := <-read, <-read; !errors.Is(errors.Join(a, b), io.EOF) || !errors.Is(errors.Join(a, b), io.ErrClosedPipe) {
			t.Errorf("reads ended with %v and %v", a, b)
		}
		for name, c := range map[string]net.Conn{"closed": near, "left": far} {
			if _, err := c.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("write to the %s end: %v", name, err)
			}
		}
		if near.SetReadDeadline(time.Time{}) == nil || near.SetWriteDeadline(time.Time{}) == nil {
			t.Error("a closed end takes deadlines")
		}
	})
}
