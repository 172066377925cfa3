//go:build unix

package embedded_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store"
)

// backends are what the benchmarks compare: miniredis on its own, over TCP, and the two servers of this package.
var backends = []struct {
	name  string
	start func(b *testing.B) *redis.Client
}{
	{"miniredis", func(b *testing.B) *redis.Client {
		b.Helper()
		mini := miniredis.RunT(b)
		mini.ClockTTL(true)
		return clientOf(b, mini.Addr())
	}},
	{"tcp", func(b *testing.B) *redis.Client {
		b.Helper()
		srv, err := embedded.Start()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = srv.Close() })
		return clientOf(b, srv.Addr())
	}},
	{"memory", func(b *testing.B) *redis.Client {
		b.Helper()
		srv, err := embedded.InMemory()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = srv.Close() })
		return srv.Client()
	}},
}

func clientOf(b *testing.B, addr string) *redis.Client {
	b.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true, Dialer: (&net.Dialer{}).DialContext})
	b.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// onEach runs a benchmark on each backend with few keys and with many. "cpu-µs/op" is the CPU time that the process, client
// and server, spends on one operation.
func onEach(b *testing.B, fn func(b *testing.B, rdb *redis.Client)) {
	b.Helper()
	for _, keys := range []int{0, 1000, 10_000} {
		for _, backend := range backends {
			if backend.name == "miniredis" && keys > 1000 {
				continue // it answers too late for the client's timeouts
			}
			b.Run(fmt.Sprintf("%s/%d", backend.name, keys), func(b *testing.B) {
				rdb := backend.start(b)
				pipe := rdb.Pipeline()
				for i := range keys {
					pipe.Set(b.Context(), fmt.Sprint("filler", i), "x", time.Hour)
				}
				if _, err := pipe.Exec(b.Context()); keys > 0 && err != nil {
					b.Fatal(err)
				}
				fn(b, rdb)
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	onEach(b, func(b *testing.B, rdb *redis.Client) {
		b.Helper()
		before := cpu(b)
		for b.Loop() {
			rdb.Get(b.Context(), "k")
		}
		perOp(b, before)
	})
}

// The two scripts of a request that takes the fast path, and the full one that opens a session of which the process has no
// copy. The scripts are those of package store.
func BenchmarkFastOpen(b *testing.B) {
	open := script(b, "record", "fastopen")
	onEach(b, func(b *testing.B, rdb *redis.Client) {
		b.Helper()
		rdb.HSet(b.Context(), "record", "v", "1.a", "n", "node")
		before := cpu(b)
		for b.Loop() { // the lock is the token's already: as much work as taking it, less one write
			if err := open.Run(b.Context(), rdb, scriptKeys, "me.1", 10_000, "1.a", "", "node", "", "1", "").Err(); err != nil {
				b.Fatal(err)
			}
		}
		perOp(b, before)
	})
}

func BenchmarkFastCommit(b *testing.B) {
	commit := script(b, "fastcommit")
	onEach(b, func(b *testing.B, rdb *redis.Client) {
		b.Helper()
		rdb.HSet(b.Context(), "record", "v", "1.a", "n", "node")
		before := cpu(b)
		for b.Loop() {
			rdb.Set(b.Context(), "lock", "me.1", 0)
			err := commit.Run(b.Context(), rdb, scriptKeys, "me.1", "1.a", "node", 100_000, "", "1.a", "b", ".x", "data").Err()
			if err != nil {
				b.Fatal(err)
			}
		}
		perOp(b, before)
	})
}

func BenchmarkFullOpen(b *testing.B) {
	onEach(b, func(b *testing.B, rdb *redis.Client) {
		b.Helper()
		s, err := store.New(rdb, store.Config{Node: "node", LockTTL: time.Second, GrantTTL: time.Second, Grace: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		rec, err := s.Commit(b.Context(), &store.Commit{
			ID: "id", Mode: store.Create, Hash: "hash", Lifetime: new(time.Hour),
			Set: map[string]store.Write{"a": {Data: "1"}, "b": {Data: "2"}, "c": {Data: "3"}},
		})
		if err != nil {
			b.Fatal(err)
		}
		before := cpu(b)
		for b.Loop() {
			if _, err := s.Open(b.Context(), store.Query{ID: rec.Record.ID, Secret: rec.Record.Hash, NoFastPath: true}); err != nil {
				b.Fatal(err)
			}
		}
		perOp(b, before)
	})
}

var scriptKeys = []string{"record", "lock", "queue"}

// script reads a script of package store, of which some are made of several files. The package puts its Format first.
func script(b *testing.B, names ...string) *redis.Script {
	b.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "local FORMAT = %d\n", store.Format)
	for _, name := range names {
		part, err := os.ReadFile("../store/" + name + ".lua")
		if err != nil {
			b.Fatal(err)
		}
		text.WriteString(string(part))
	}
	return redis.NewScript(text.String())
}

const counter manager.Key[int] = "n"

// Eight goroutines, each with a session: every request reads it and writes it.
func BenchmarkReadModifyWrite(b *testing.B) {
	onEach(b, func(b *testing.B, rdb *redis.Client) {
		b.Helper()
		m, err := manager.New(rdb, &manager.Config{Insecure: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = m.Close(context.Background()) })
		h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			counter.Set(s, counter.Get(s)+1)
		}))
		before := cpu(b)
		b.SetParallelism(8)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			var cookie *http.Cookie
			for pb.Next() {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if cookie != nil {
					r.AddCookie(cookie)
				}
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if cookies := rec.Result().Cookies(); len(cookies) > 0 {
					cookie = cookies[0]
				}
				if rec.Code != http.StatusOK {
					b.Error(rec.Code)
				}
			}
		})
		perOp(b, before)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	})
}

// cpu is the time that the process has spent on the CPU.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func perOp(b *testing.B, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
