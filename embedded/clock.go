package embedded

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// How long the clock of miniredis stands between two moves. With each, miniredis looks at every key it has.
const (
	minStep    = time.Millisecond     // with few keys
	stepPerKey = 5 * time.Microsecond // with many: some ten times as long as the look at them takes
)

// clock moves the clock of miniredis, which on its own would follow the time at every command, also at those inside a
// script. It moves before a client's command alone, and then stands for a while: by no more than that does a key end
// too early or too late. All commands of a script see the same time, as on Redis.
type clock struct {
	mini *miniredis.Miniredis
	size func() int // the number of keys

	start time.Time
	due   atomic.Int64 // when to move again, as a time.Duration since start

	mu sync.Mutex // held by the one that moves the clock: others that find it due wait until it has moved
}

func newClock(mini *miniredis.Miniredis, size func() int) *clock {
	c := &clock{mini: mini, size: size, start: time.Now()}
	mini.SetTime(c.start.UTC())
	mini.ClockTTL(true)
	return c
}

// tick moves the clock if that is due.
func (c *clock) tick() {
	if c.isDue() {
		c.move()
	}
}

func (c *clock) isDue() bool { return int64(time.Since(c.start)) >= c.due.Load() }

func (c *clock) move() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isDue() {
		return // moved while this one waited
	}
	now := time.Now()
	c.mini.SetTime(now.UTC())
	c.mini.DB(0)              // looks at all keys
	if time.Since(now) == 0 { // time stands still while we work, in a synctest bubble: the clock can follow it exactly
		c.due.Store(int64(now.Sub(c.start) + 1))
		return
	}
	// Counted from the time that the clock shows, not from the end of the look: after a long look it moves again at once.
	c.due.Store(int64(now.Sub(c.start) + max(minStep, stepPerKey*time.Duration(c.size()))))
}
