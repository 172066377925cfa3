package invalidate

import (
	"sync/atomic"
	"time"
)

// Stats are the figures of a feed since it was started.
type Stats struct {
	// Connected is whether a subscription is confirmed now. [Feed.FreshAsOf] reports whether it is proven.
	Connected bool

	// Subscriptions counts the confirmed subscriptions, and Losses those of them that ended other than by Close.
	Subscriptions uint64
	Losses        uint64

	// Messages counts all messages received. The others count those of one kind: Unknown those of a kind that this release
	// does not know.
	Messages      uint64
	Invalidations uint64
	Grants        uint64
	Recalls       uint64
	Unknown       uint64
	Malformed     uint64

	// ProbesSent and ProbesReturned count the feed's own probes. In a cluster each round has one for each master.
	ProbesSent     uint64
	ProbesReturned uint64

	// Lag is how long the newest probe took to return: the round trip to publish it, and the time
	// until it was received. 0 before the first. A gauge.
	Lag time.Duration
}

type counters struct {
	subscriptions, losses                                        atomic.Uint64
	messages, invalidations, grants, recalls, unknown, malformed atomic.Uint64
	probesSent, probesReturned                                   atomic.Uint64
}

// Stats returns the figures. They are read one by one, so under load they are
// not of one instant.
func (f *Feed) Stats() Stats {
	connected, _ := f.proof.state()
	return Stats{
		Connected:      connected,
		Subscriptions:  f.counters.subscriptions.Load(),
		Losses:         f.counters.losses.Load(),
		Messages:       f.counters.messages.Load(),
		Invalidations:  f.counters.invalidations.Load(),
		Grants:         f.counters.grants.Load(),
		Recalls:        f.counters.recalls.Load(),
		Unknown:        f.counters.unknown.Load(),
		Malformed:      f.counters.malformed.Load(),
		ProbesSent:     f.counters.probesSent.Load(),
		ProbesReturned: f.counters.probesReturned.Load(),
		Lag:            f.proof.took(),
	}
}
