package faults_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// recovery is within what time the first request must be served once Redis is back.
const recovery = 2 * slack

// patient is for a Redis that always answers, if late on a busy machine.
func patient(c *replica.Config) { c.Timeout = 10 * time.Second }

// Redis dies and comes back with all that it has acknowledged.
func TestRestartWithAOF(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, "Redis killed and restarted, AOF on", []string{srv.Addr()})
	var worst time.Duration
	s.during(3, func(int) {
		srv.Kill()
		s.awaitEnded(people * tabs)
		srv.Restart(t)
		s.history.Recovers()
		worst = max(worst, s.awaitServed(1))
	})
	s.within("the first success", worst, recovery)
	if r := s.finish(); r.Undone > 0 {
		t.Errorf("%d acknowledged writes are gone", r.Undone)
	}
}

// Redis dies and comes back with nothing. What was there is counted; nothing of it comes back, and all go on by
// themselves.
func TestRestartWithoutAOF(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s := open(t, "Redis killed and restarted, AOF off", []string{srv.Addr()})
	var worst time.Duration
	s.during(3, func(int) {
		over := s.history.Wipe("restart")
		srv.Kill()
		s.awaitEnded(people * tabs)
		srv.Restart(t)
		over()
		s.history.Recovers()
		worst = max(worst, s.awaitServed(1))
	})
	s.within("the first success", worst, recovery)
	s.t.Logf("acknowledged writes gone with Redis' data: %d", s.finish().Undone)
}

func TestFlushAll(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "FLUSHALL", []string{srv.Addr()}), srv.Client(t)
	s.during(5, func(int) {
		over := s.history.Wipe("flushall")
		if err := rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		over()
		s.history.Recovers()
	})
	s.finish()
}

// The scripts are loaded again and no client notices.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "SCRIPT FLUSH", []string{srv.Addr()}, patient), srv.Client(t)
	s.during(10, func(int) {
		if err := rdb.ScriptFlush(t.Context()).Err(); err != nil {
			t.Error(err)
		}
		s.history.Recovers()
	})
	s.finish()
	for name, n := range s.load.Errors() {
		if name != "conflict" && name != "removed" {
			t.Errorf("%d times %q: no client should notice", n, name)
		}
	}
}

// Redis has no memory left and refuses to write.
func TestMaxmemoryNoEviction(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t, "--maxmemory-policy", "noeviction")
	s, rdb := open(t, "maxmemory, noeviction", []string{srv.Addr()}, patient), srv.Client(t)
	var worst time.Duration
	s.during(3, func(int) {
		before := s.load.Errors()["unavailable"]
		configure(t, rdb, "maxmemory", "1mb")
		s.eventually("writes are refused", func() bool { return s.load.Errors()["unavailable"] >= before+people })
		configure(t, rdb, "maxmemory", "0")
		s.history.Recovers()
		worst = max(worst, s.awaitServed(1))
	})
	s.within("the first success", worst, recovery)
	if r := s.finish(); r.Count(history.Add, history.Unknown) > 0 {
		t.Errorf("%d increments of unknown outcome, although Redis has answered", r.Count(history.Add, history.Unknown))
	}
}

// Redis has no memory left and evicts sessions and locks. A session that is gone is gone; without its lock a commit
// still finds out whether it may be made.
func TestMaxmemoryEviction(t *testing.T) {
	t.Parallel()
	long(t)
	srv := redistest.Start(t)
	s, rdb := open(t, "maxmemory, allkeys-lru", []string{srv.Addr()}), srv.Client(t)
	configure(t, rdb, "maxmemory-policy", "allkeys-lru")
	configure(t, rdb, "maxmemory-samples", "1") // any key
	s.during(5, func(int) {
		over := s.history.Loss("eviction")
		before := info(t, rdb, "stats", "evicted_keys")
		for limit := info(t, rdb, "memory", "used_memory"); info(t, rdb, "stats", "evicted_keys") < before+20; limit -= 1000 {
			configure(t, rdb, "maxmemory", strconv.FormatInt(limit, 10))
			s.awaitEnded(people)
		}
		configure(t, rdb, "maxmemory", "0")
		over()
		s.history.Recovers()
	})
	s.finish()
}

func configure(t *testing.T, rdb *redis.Client, name, value string) {
	t.Helper()
	if err := rdb.ConfigSet(t.Context(), name, value).Err(); err != nil {
		t.Error(err)
	}
}

// info returns a number that the server tells about itself.
func info(t *testing.T, rdb *redis.Client, section, name string) int64 {
	t.Helper()
	text, err := rdb.Info(t.Context(), section).Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(text, "\r\n"+name+":")
	if !ok {
		t.Fatal(fmt.Errorf("no %s in INFO %s", name, section))
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
