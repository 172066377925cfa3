package embedded_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
)

// lag is by how much a key may end too early, as the package documents it.
func lag(keys int) time.Duration {
	return max(time.Millisecond, time.Duration(keys)*5*time.Microsecond)
}

// Under load no key ends before its time by more than the lag. The test depends on no timing: it counts from before the
// command was sent, so that being slow only gives the key more time.
func TestKeysLiveLongEnough(t *testing.T) {
	t.Parallel()
	for _, fillers := range []int{0, 1000} {
		t.Run(fmt.Sprint(fillers, " keys"), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, srv *embedded.Server) {
				ctx := t.Context()
				p := srv.Client().Pipeline()
				for i := range fillers {
					p.Set(ctx, fmt.Sprint("filler", i), "x", time.Hour)
				}
				if _, err := p.Exec(ctx); err != nil && fillers > 0 {
					t.Fatal(err)
				}
				const keys = 100
				load, stop := context.WithCancel(ctx)
				var wg sync.WaitGroup
				defer wg.Wait()
				defer stop()
				for range 3 {
					rdb := srv.NewClient()
					wg.Go(func() {
						for load.Err() == nil {
							_ = writeBoth.Run(ctx, rdb, both, "x").Err()
						}
					})
				}
				for _, ttl := range []time.Duration{20 * time.Millisecond, 35 * time.Millisecond, 60 * time.Millisecond, time.Second, time.Hour} {
					wg.Go(func() { watchKey(ctx, t, srv.NewClient(), ttl, lag(fillers+keys)) })
				}
				time.Sleep(90 * time.Millisecond)
			})
		})
	}
}

// watchKey sets a key again and again and looks at it until it has ended, or for a while.
func watchKey(ctx context.Context, t *testing.T, rdb *redis.Client, ttl, lag time.Duration) {
	key := fmt.Sprint("key of ", ttl)
	begun := time.Now()
	for time.Since(begun) < 150*time.Millisecond {
		sent := time.Now()
		if err := rdb.Set(ctx, key, "x", ttl).Err(); err != nil {
			t.Error(err)
			return
		}
		for {
			left, err := rdb.PTTL(ctx, key).Result()
			if err != nil {
				t.Error(err)
				return
			}
			lived := time.Since(sent) // it lived at least until the command was answered
			if left >= 0 {            // in whole milliseconds; a key that has ended gives -2
				if left > ttl {
					t.Errorf("a key of %v has %v left", ttl, left)
				}
				if lived > 100*time.Millisecond {
					return // long enough for the long ones
				}
				continue
			}
			if lived < ttl-lag {
				t.Errorf("a key of %v ended after %v, with a lag of %v", ttl, lived, lag)
			}
			break
		}
	}
}

// In a bubble a key ends in the very moment that it should, whatever the fractions, and however many keys there are.
func TestKeysEndOnTimeInABubble(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, srv *embedded.Server) {
		ctx, rdb := t.Context(), srv.Client()
		for i := range 500 {
			rdb.Set(ctx, fmt.Sprint("filler", i), "x", 0)
		}
		expire := redis.NewScript("redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1]) return redis.call('PTTL', KEYS[1])")
		for _, ttl := range []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Second, 90 * time.Minute, 48 * time.Hour} {
			for range 3 { // by miniredis, and by the engine
				time.Sleep(333 * time.Microsecond) // between the steps of the clock, if it had any
				if got, err := expire.Run(ctx, rdb, []string{"k"}, ttl.Milliseconds()).Int64(); err != nil || got != ttl.Milliseconds() {
					t.Fatalf("PTTL after SET: %d, %v", got, err)
				}
				time.Sleep(ttl - 1)
				if n := rdb.Exists(ctx, "k").Val(); n != 1 {
					t.Errorf("a key of %v ended a nanosecond early", ttl)
				}
				time.Sleep(time.Nanosecond)
				if n := rdb.Exists(ctx, "k").Val(); n != 0 {
					t.Errorf("a key of %v was there after that", ttl)
				}
			}
		}
	})
}

// A script sees one time from its begin to its end, and a client the time there is.
func TestTime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, srv *embedded.Server) {
		ctx, rdb := t.Context(), srv.Client()
		script := redis.NewScript(`local first = redis.call('TIME')
for i = 1, 2000 do redis.call('SET', 'k', i, 'PX', 10000) end
local last = redis.call('TIME')
return {first[1] == last[1] and first[2] == last[2] and 1 or 0, redis.call('PTTL', 'k')}`)
		for range 3 {
			if got, err := script.Run(ctx, rdb, nil).Int64Slice(); err != nil || got[0] != 1 || got[1] != 10_000 {
				t.Errorf("time passed inside a script: %v, %v", got, err)
			}
		}
		before := time.Now()
		got, err := rdb.Time(ctx).Result()
		if err != nil || got.Before(before.Add(-lag(10)).Truncate(time.Microsecond)) || got.After(time.Now()) {
			t.Errorf("TIME = %v, %v; it is %v", got, err, before)
		}
	})
}
