package lock

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Config holds the options for New. The zero value of each field means its default. New refuses a
// negative value unless the field says what it means.
type Config struct {
	// Prefix begins the name of every key and channel. All processes that share locks use the same
	// one. Do not use the prefix of sessions: sessions and locks would share keys.
	//
	// Defaults to "holdfast-lock".
	Prefix string

	// TTL is how long a lock outlives a process that died. A running process renews its locks after
	// each third of that time. From 30 ms to 24 h.
	//
	// Defaults to 5 s.
	TTL time.Duration

	// GrantTTL is how long a waiter may take to answer when it was granted the lock. After that the
	// next waiter may take it. From 1 ms to TTL.
	//
	// Defaults to 2 s, or TTL if that is shorter.
	GrantTTL time.Duration

	// Wait is the longest time that Acquire waits. Its context may end the wait earlier. Make it
	// longer than TTL: otherwise Acquire fails before the lock of a process that died has expired.
	// Negative means no limit except the context.
	//
	// Defaults to 10 s.
	Wait time.Duration

	// MaxHold is the longest time that a lease lasts, so that a stuck holder cannot block other
	// requests forever. After that, or up to a twentieth of MaxHold earlier, the lease's context
	// ends and the lock goes to the next waiter. At least 30 ms. Negative means no limit.
	//
	// Defaults to 1 min.
	MaxHold time.Duration

	// MaxWaiters is how many requests of this process may wait for one key, and also how many
	// processes may wait for it in Redis. At least 1.
	//
	// Defaults to 128.
	MaxWaiters int

	// Retain is how long this process keeps a lock after a lease has ended, for the next request of
	// this process. Another process that wants the lock recalls it with a message, and gets it at
	// once. Only scripts of this module retain locks: see [Locker.AcquireWith]. From MinRetain to
	// TTL. Negative means off.
	//
	// Defaults to 0, off.
	Retain time.Duration

	// OnRecall is called when another process waits for a lock that this process holds or retains,
	// with the lock's key. It must not block.
	//
	// Defaults to nil: nothing is done.
	OnRecall func(key string)

	// Timeout is how long each call to Redis may take. At least 1 ms.
	//
	// Defaults to 5 s, or TTL if that is shorter.
	Timeout time.Duration

	// Node is the ID of this process in lock tokens. A program that sets it has to listen on the
	// node's channel itself, and pass each grant to Granted and each recall to Recalled.
	//
	// Defaults to "": New draws an ID, and the Locker listens.
	Node string

	// Logger receives the log lines of this package.
	//
	// Defaults to slog.Default().
	Logger *slog.Logger
}

func (c *Config) withDefaults() Config {
	var cfg Config
	if c != nil {
		cfg = *c
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, "holdfast-lock")
	cfg.TTL = cmp.Or(cfg.TTL, 5*time.Second)
	cfg.GrantTTL = cmp.Or(cfg.GrantTTL, min(2*time.Second, cfg.TTL))
	cfg.Wait = cmp.Or(cfg.Wait, 10*time.Second)
	cfg.MaxHold = cmp.Or(cfg.MaxHold, time.Minute)
	cfg.MaxWaiters = cmp.Or(cfg.MaxWaiters, 128)
	cfg.Timeout = cmp.Or(cfg.Timeout, min(rdb.DefaultTimeout, cfg.TTL))
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return cfg
}

func (c *Config) validate() error {
	switch {
	case c.TTL < 30*time.Millisecond:
		return fmt.Errorf("TTL is %v: it must be at least 30ms, so that it can be renewed in time", c.TTL)
	case c.TTL > maxTTL:
		return fmt.Errorf("TTL is %v: a process that died would keep the lock for that long; set at most %v", c.TTL, maxTTL)
	case c.MaxHold > 0 && c.MaxHold < 30*time.Millisecond:
		return fmt.Errorf("MaxHold is %v: it is too short to be enforced; set at least 30ms, or a negative value for no limit", c.MaxHold)
	case c.GrantTTL < time.Millisecond || c.GrantTTL > c.TTL:
		return fmt.Errorf("GrantTTL is %v: it must be between 1ms and TTL (%v)", c.GrantTTL, c.TTL)
	case c.Retain > 0 && c.Retain < MinRetain:
		return fmt.Errorf("Retain is %v: the next holder would lose the lock before renewing it; set at least %v, or 0", c.Retain, MinRetain)
	case c.Retain > c.TTL:
		return fmt.Errorf("Retain is %v: it must not be longer than TTL (%v)", c.Retain, c.TTL)
	case c.MaxWaiters < 1:
		return fmt.Errorf("MaxWaiters is %d: it must be at least 1", c.MaxWaiters)
	case c.Timeout < time.Millisecond:
		return fmt.Errorf("Timeout is %v: it must be at least 1ms", c.Timeout)
	}
	return nil
}

// margin is how long before its end a lease is no longer trusted: time for the holder to stop.
func (c *Config) margin() time.Duration { return c.TTL / 10 }

// MinRetain is the shortest Config.Retain. With a shorter one, a request could not renew the lock
// before it expires.
const MinRetain = 10 * time.Millisecond

// maxTTL bounds Config.TTL.
const maxTTL = 24 * time.Hour

// tick is how often leases are looked at: often enough to end one at MaxHold, within a twentieth of it, and to renew one
// that was retained, which is shorter than others, once it is in use.
func (c *Config) tick() time.Duration {
	tick := c.TTL / 10
	if c.MaxHold > 0 {
		tick = min(tick, c.MaxHold/20)
	}
	if c.Retain > 0 {
		tick = min(tick, max(c.Retain/8, time.Millisecond))
	}
	return tick
}

// queueLife is how long a queue outlives the last question of a waiter in it: much longer than a living waiter lets pass
// between two.
func (c *Config) queueLife() time.Duration { return min(max(c.Wait, 0), maxTTL) + 6*c.TTL }
