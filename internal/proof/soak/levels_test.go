package soak_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// levels are what must not grow for ever.
type levels struct {
	goroutines int    // of the replica that has most
	heap       uint64 // likewise
	clients    int64  // connections to Redis
	locks      int    // keys of locks and queues
}

func (l levels) String() string {
	return fmt.Sprintf("%d goroutines and %d kB in the largest replica, %d connections to Redis, %d locks and queues",
		l.goroutines, l.heap>>10, l.clients, l.locks)
}

// What the levels may be above those of the beginning, when nothing is under way any more.
const (
	moreGoroutines = 10
	moreHeap       = 12 << 20 // the copies, and what they leave behind
	moreClients    = 8 * 25   // each replica keeps a pool of connections, which fault and load fill
)

func (s *soak) levels() levels {
	s.t.Helper()
	var l levels
	for _, p := range s.replicas {
		h, err := p.Health()
		if err != nil {
			s.t.Fatal(err)
		}
		l.goroutines, l.heap = max(l.goroutines, h.Goroutines), max(l.heap, h.HeapBytes)
	}
	l.clients = s.clients()
	s.scan(func(key string, _ *redis.Client) {
		if strings.HasSuffix(key, ":lock") || strings.HasSuffix(key, ":queue") {
			l.locks++
		}
	})
	return l
}

func (s *soak) clients() int64 {
	s.t.Helper()
	text, err := s.rdb.Info(s.t.Context(), "clients").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "connected_clients:")
	n, err := strconv.ParseInt(rest[:max(0, strings.IndexByte(rest, '\r'))], 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// settle waits until the levels are as they were before.
func (s *soak) settle() {
	s.t.Helper()
	before := s.before
	within := func(l levels) bool {
		return l.goroutines <= before.goroutines+moreGoroutines && l.heap <= before.heap+moreHeap &&
			l.clients <= before.clients+moreClients && l.locks == 0
	}
	now := s.levels()
	for deadline := time.Now().Add(time.Minute); !within(now) && time.Now().Before(deadline); now = s.levels() {
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Logf("after:  %v", now)
	if !within(now) {
		s.t.Errorf("it did not come back to its level: %v before, %v after", before, now)
	}
}

// countRecords compares the sessions in Redis with those that were begun and not ended.
func (s *soak) countRecords(r *history.Report) {
	s.t.Helper()
	var live int64
	space := keys.In(s.prefix)
	s.scan(func(key string, rdb *redis.Client) {
		if _, ok := space.RecordID(key); ok && rdb.HExists(context.Background(), key, "v").Val() { // else the mark of a removal
			live++
		}
	})
	known := s.load.Sessions() - s.load.Removed()
	unknown := int64(r.Count(history.Create, history.Unknown))
	s.t.Logf("records in Redis: %d; begun and not ended: %d, and %d creations of unknown outcome", live, known, unknown)
	if live > known+unknown {
		s.t.Errorf("%d records are left in Redis, and only %d sessions live", live, known+unknown)
	}
}

func (s *soak) scan(each func(key string, rdb *redis.Client)) {
	s.t.Helper()
	it := s.rdb.Scan(context.Background(), 0, s.prefix+"*", 1000).Iterator()
	for it.Next(context.Background()) {
		each(it.Val(), s.rdb)
	}
	if err := it.Err(); err != nil {
		s.t.Fatal(err)
	}
}
