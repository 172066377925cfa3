package otelsession

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/holdfast-go/holdfast/manager"
)

// observers makes the instruments that are read from Stats, and the function that reads them.
func observers(meter metric.Meter, common []attribute.KeyValue, m *manager.Manager) ([]metric.Observable, metric.Callback, error) {
	n := &instruments{meter: meter, common: common, plain: metric.WithAttributeSet(attribute.NewSet(common...))}
	n.identity(m)
	n.sessions()
	n.locks()
	n.copies()
	n.feed()
	return n.all, func(_ context.Context, o metric.Observer) error {
		s := m.Stats()
		for _, read := range n.readers {
			read(o, &s)
		}
		return nil
	}, errors.Join(n.errs...)
}

// identity is one instrument, whose attributes name this process.
func (n *instruments) identity(m *manager.Manager) {
	info, err := n.meter.Int64ObservableGauge("holdfast.info", metric.WithUnit("1"),
		metric.WithDescription("1, with the node of the manager in Redis, its name and the version of Holdfast."))
	identity := attribute.NewSet(slices.Concat(n.common, []attribute.KeyValue{
		attribute.String("holdfast.node", m.Node()), attribute.String("holdfast.node.name", m.NodeName()),
		attribute.String("holdfast.version", m.Version()),
	})...)
	n.whole(info, err, metric.WithAttributeSet(identity), func(*manager.Stats) int64 { return 1 })
}

func (n *instruments) sessions() {
	n.counter("session.opens", "{session}", "Sessions opened, in any mode.", func(s *manager.Stats) int64 { return s.Opens })
	n.counter("session.local_opens", "{session}", "Sessions opened without a call to Redis.", func(s *manager.Stats) int64 { return s.LocalHits })
	n.several("session.commits", "{commit}", "Commits that had something to write, by outcome.", keyOutcome,
		part{ok, func(s *manager.Stats) int64 { return s.Commits }},
		part{"conflict", func(s *manager.Stats) int64 { return s.Conflicts }},
		part{"unavailable", func(s *manager.Stats) int64 { return s.Unavailable }},
		part{"outcome_unknown", func(s *manager.Stats) int64 { return s.OutcomeLost }},
		part{"rejected", func(s *manager.Stats) int64 { return s.Rejected }})
	n.several("session.changes", "{session}", "Sessions that were created, given a new token, destroyed or revoked.", keyChange,
		part{"created", func(s *manager.Stats) int64 { return s.Created }},
		part{"rotated", func(s *manager.Stats) int64 { return s.Rotated }},
		part{"destroyed", func(s *manager.Stats) int64 { return s.Destroyed }},
		part{"revoked", func(s *manager.Stats) int64 { return s.Revoked }})
	n.several("session.tokens_rejected", "{token}", "Tokens that opened nothing.", keyReason,
		part{"malformed", func(s *manager.Stats) int64 { return s.Malformed }},
		part{"unknown", func(s *manager.Stats) int64 { return s.Unknown }},
		part{"superseded", func(s *manager.Stats) int64 { return s.Superseded }},
		part{"reused", func(s *manager.Stats) int64 { return s.Reused }})
	n.counter("session.requests_refused", "{request}", "Requests answered by the ErrorHandler.", func(s *manager.Stats) int64 { return s.Refused })
	n.counter("session.unconfirmed", "{request}", "Requests refused at their end: they began with a retained lock, and the session had changed.", func(s *manager.Stats) int64 { return s.Unconfirmed })
	n.counter("session.late_changes", "{request}", "Requests that changed a session after its commit.", func(s *manager.Stats) int64 { return s.Late })
	n.counter("session.records_corrupt", "{record}", "Session records that could not be read.", func(s *manager.Stats) int64 { return s.Corrupt })
	n.counter("session.values_undecodable", "{value}", "Values that could not be decoded or decrypted.", func(s *manager.Stats) int64 { return s.Undecodable })
}

func (n *instruments) locks() {
	n.level("lock.held", "{lock}", "Locks held now.", func(s *manager.Stats) int64 { return int64(s.Lock.Held) })
	n.level("lock.retained", "{lock}", "Locks kept now for a next request.", func(s *manager.Stats) int64 { return int64(s.Lock.Retained) })
	n.level("lock.waiting", "{request}", "Requests that wait for a lock now.", func(s *manager.Stats) int64 { return int64(s.Lock.Waiting) })
	n.counter("lock.acquired", "{lock}", "Locks given out.", func(s *manager.Stats) int64 { return s.Lock.Acquired })
	n.counter("lock.queued", "{request}", "Times that a request waited in the queue in Redis.", func(s *manager.Stats) int64 { return s.Lock.Queued })
	n.counter("lock.handed", "{lock}", "Locks that went to the next request of this process in memory.", func(s *manager.Stats) int64 { return s.Lock.Handed })
	n.counter("lock.reused", "{lock}", "Retained locks that were given out without a call to Redis.", func(s *manager.Stats) int64 { return s.Lock.Reused })
	n.counter("lock.recalled", "{recall}", "Times that another replica asked for a lock that this one held or retained.", func(s *manager.Stats) int64 { return s.Lock.Recalled })
	n.counter("lock.timeouts", "{request}", "Requests that gave up waiting.", func(s *manager.Stats) int64 { return s.Lock.Timeouts })
	n.counter("lock.refused", "{request}", "Requests refused because too many were waiting.", func(s *manager.Stats) int64 { return s.Lock.Refused })
	n.counter("lock.lost", "{lock}", "Locks that ended before they were released.", func(s *manager.Stats) int64 { return s.Lock.Lost })
}

func (n *instruments) copies() {
	n.level("cache.entries", "{copy}", "Local copies held now.", func(s *manager.Stats) int64 { return int64(s.Cache.Entries) })
	n.level("cache.size", "By", "Memory for local copies, roughly.", func(s *manager.Stats) int64 { return s.Cache.Bytes })
	n.counter("cache.hits", "{lookup}", "Lookups that found a local copy.", func(s *manager.Stats) int64 { return count(s.Cache.Hits) })
	n.counter("cache.misses", "{lookup}", "Lookups that found none.", func(s *manager.Stats) int64 { return count(s.Cache.Misses) })
	n.counter("cache.evictions", "{copy}", "Local copies dropped to stay within CacheBytes.", func(s *manager.Stats) int64 { return count(s.Cache.Evictions) })
	n.counter("cache.purges", "{purge}", "Times that all local copies were dropped.", func(s *manager.Stats) int64 { return count(s.Cache.Purges) })
	n.several("cache.fills", "{copy}", "Copies that were to be stored, by outcome.", keyOutcome,
		part{"stored", func(s *manager.Stats) int64 { return count(s.Cache.Fills) }},
		part{"voided", func(s *manager.Stats) int64 { return count(s.Cache.FillsVoided) }},
		part{"older", func(s *manager.Stats) int64 { return count(s.Cache.FillsOlder) }},
		part{"too_large", func(s *manager.Stats) int64 { return count(s.Cache.FillsTooLarge) }})
}

func (n *instruments) feed() {
	n.gauge("feed.connected", "1 while the feed's subscription is confirmed.", func(s *manager.Stats) bool { return s.Feed.Connected })
	n.gauge("feed.proven", "1 while the feed has evidence that it missed no message.", func(s *manager.Stats) bool { return s.FreshFor >= 0 })
	n.seconds("feed.age", "Upper bound on the age of the data that a read-only request sees; absent without proof.", func(s *manager.Stats) time.Duration { return s.FreshFor })
	n.seconds("feed.lag", "How long the newest heartbeat took to return.", func(s *manager.Stats) time.Duration { return s.Feed.Lag })
	n.counter("feed.losses", "{loss}", "Subscriptions that were lost.", func(s *manager.Stats) int64 { return count(s.Feed.Losses) })
	n.counter("feed.probes_sent", "{probe}", "Probes sent, in a cluster one per master.", func(s *manager.Stats) int64 { return count(s.Feed.ProbesSent) })
	n.counter("feed.probes_returned", "{probe}", "Probes that came back.", func(s *manager.Stats) int64 { return count(s.Feed.ProbesReturned) })
	n.several("feed.messages", "{message}", "Messages received, without heartbeats and recalls.", keyKind,
		part{"invalidation", func(s *manager.Stats) int64 { return count(s.Feed.Invalidations) }},
		part{"grant", func(s *manager.Stats) int64 { return count(s.Feed.Grants) }},
		part{"unknown", func(s *manager.Stats) int64 { return count(s.Feed.Unknown) }},
		part{"malformed", func(s *manager.Stats) int64 { return count(s.Feed.Malformed) }})
}

// count is what OpenTelemetry takes for a count. It does not get as far as the sign.
func count(n uint64) int64 { return int64(n) } //nolint:gosec // see above
