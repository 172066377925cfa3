package invalidate

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

const (
	defaultProbeInterval = 500 * time.Millisecond
	minProbeInterval     = 10 * time.Millisecond
	maxProbeInterval     = time.Hour

	// defaultTimeoutRounds leaves room for one late or lost probe.
	defaultTimeoutRounds = 3
)

// Config describes a [Feed]. Node is required.
//
// The callbacks run on the goroutine that reads the feed, one at a time. They
// must return quickly, because the feed receives nothing meanwhile, and must not call
// [Feed.Close] or [Feed.Ready]. None is called after Close has returned nil.
type Config struct {
	// Node is the full name of the channel of this node. No other node may use
	// the same one. Required.
	Node string

	// Broadcast is the full name of a channel that every node listens to.
	//
	// Defaults to "": none.
	Broadcast string

	// ProbeInterval is the time between two probes, from 10 ms to 1 h. Each probe
	// is one PUBLISH, or in a cluster one per master after one CLUSTER SLOTS.
	//
	// Defaults to 500 ms.
	ProbeInterval time.Duration

	// Timeout is how old the newest proof may be before the feed counts as lost.
	// At least twice ProbeInterval.
	//
	// Defaults to three times ProbeInterval.
	Timeout time.Duration

	// OnInvalidate is called for each invalidation. It may arrive repeatedly and
	// late.
	//
	// Defaults to nil: nothing is done.
	OnInvalidate func(id string)

	// OnGrant is called for each grant of a lock. It may arrive repeatedly, late,
	// and for a token whose owner no longer waits.
	//
	// Defaults to nil: nothing is done.
	OnGrant func(token string)

	// OnRecall is called when another node waits for a lock that this node holds.
	// A recall may arrive repeatedly, late, and for a lock that was released
	// meanwhile.
	//
	// Defaults to nil: nothing is done.
	OnRecall func(token string)

	// OnForget is called when all local copies are void, including those that are being fetched:
	// after a loss, once a new subscription is confirmed (the first one, too), and for an
	// invalidation that cannot be read.
	//
	// Defaults to nil: nothing is done.
	OnForget func()

	// OnRecover is called after OnForget whenever a subscription is confirmed. Requests that wait
	// for a grant should query Redis again, since grants that were sent in between are lost.
	//
	// Defaults to nil: nothing is done.
	OnRecover func()

	// Logger receives a line for each loss and recovery, and never a payload.
	//
	// Defaults to nil: nothing is logged.
	Logger *slog.Logger
}

// withDefaults returns a copy of c with the zero fields filled in.
func (c Config) withDefaults() Config {
	c.ProbeInterval = cmp.Or(c.ProbeInterval, defaultProbeInterval)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeoutRounds*min(c.ProbeInterval, maxProbeInterval))
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.OnInvalidate == nil {
		c.OnInvalidate = func(string) {}
	}
	if c.OnGrant == nil {
		c.OnGrant = func(string) {}
	}
	if c.OnRecall == nil {
		c.OnRecall = func(string) {}
	}
	if c.OnForget == nil {
		c.OnForget = func() {}
	}
	if c.OnRecover == nil {
		c.OnRecover = func() {}
	}
	return c
}

// validate names the field that is wrong and what it should be.
func (c Config) validate() error {
	if c.Node == "" {
		return errors.New("invalidate: Config.Node is empty; give the name of the node's own channel")
	}
	if c.Node == c.Broadcast {
		return errors.New("invalidate: Config.Broadcast equals Config.Node; give each its own name")
	}
	if c.ProbeInterval < minProbeInterval {
		return fmt.Errorf("invalidate: Config.ProbeInterval is %s; give at least %s", c.ProbeInterval, minProbeInterval)
	}
	if c.ProbeInterval > maxProbeInterval {
		return fmt.Errorf("invalidate: Config.ProbeInterval is %s; give at most %s, or a loss goes unnoticed for that long", c.ProbeInterval, maxProbeInterval)
	}
	if c.Timeout < 2*c.ProbeInterval {
		return fmt.Errorf("invalidate: Config.Timeout is %s; give at least twice Config.ProbeInterval (%s)", c.Timeout, c.ProbeInterval)
	}
	return nil
}

// channels returns what to subscribe to. The node's own comes first, because
// it is the one that decides which node of a cluster to connect to.
func (c Config) channels() []string {
	if c.Broadcast == "" {
		return []string{c.Node}
	}
	return []string{c.Node, c.Broadcast}
}
