package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
)

// The bytes of a key are the caller's again when Acquire returns: the lease still releases what it took, and the line of
// the process is that of the key.
func TestCallersMayReuseTheirBytes(t *testing.T) {
	each(t, func(t *testing.T, f *fixture, b redistest.Backend) {
		ctx := t.Context()
		l := f.locker(b.Client(t), lock.Config{})
		acquire := func(ctx context.Context) (*lock.Lease, error) {
			buf := []byte(key)
			defer func() { copy(buf, "another key altogether") }()
			return l.Acquire(ctx, unsafe.String(unsafe.SliceData(buf), len(buf)))
		}
		first, err := acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if lease, err := acquire(short); !errors.Is(err, lock.ErrTimeout) {
			t.Errorf("acquired %v, %v while the first is held", lease, err)
		}
		if !l.Busy(key) {
			t.Error("no request has the turn at the key")
		}
		mustRelease(t, first)
		second, err := acquire(ctx)
		if err != nil {
			t.Fatal(err)
		}
		mustRelease(t, second)
	})
}
