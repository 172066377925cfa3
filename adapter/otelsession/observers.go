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

// part is one value of an attribute, with its count.
type part struct {
	value string
	read  func(*manager.Stats) int64
}

// observers makes the instruments that are read from Stats, and the function that reads them.
func observers(meter metric.Meter, common []attribute.KeyValue, m *manager.Manager) ([]metric.Observable, metric.Callback, error) {
	type stats = manager.Stats
	var (
		instruments []metric.Observable
		readers     []func(metric.Observer, *stats)
		errs        []error
		plain       = metric.WithAttributeSet(attribute.NewSet(common...))
	)
	whole := func(i metric.Int64Observable, err error, option metric.ObserveOption, read func(*stats) int64) {
		errs = append(errs, err)
		instruments = append(instruments, i)
		readers = append(readers, func(o metric.Observer, s *stats) { o.ObserveInt64(i, read(s), option) })
	}
	counter := func(name, unit, what string, read func(*stats) int64) {
		i, err := meter.Int64ObservableCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
		whole(i, err, plain, read)
	}
	several := func(name, unit, what string, key attribute.Key, parts ...part) {
		i, err := meter.Int64ObservableCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
		for _, p := range parts {
			set := attribute.NewSet(slices.Concat(common, []attribute.KeyValue{key.String(p.value)})...)
			whole(i, err, metric.WithAttributeSet(set), p.read)
		}
	}
	level := func(name, unit, what string, read func(*stats) int64) { // what adds up over processes
		i, err := meter.Int64ObservableUpDownCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
		whole(i, err, plain, read)
	}
	gauge := func(name, what string, read func(*stats) bool) {
		i, err := meter.Int64ObservableGauge("holdfast."+name, metric.WithUnit("1"), metric.WithDescription(what))
		whole(i, err, plain, func(s *stats) int64 {
			if read(s) {
				return 1
			}
			return 0
		})
	}
	seconds := func(name, what string, read func(*stats) time.Duration) { // unknown while negative
		i, err := meter.Float64ObservableGauge("holdfast."+name, metric.WithUnit("s"), metric.WithDescription(what))
		errs = append(errs, err)
		instruments = append(instruments, i)
		readers = append(readers, func(o metric.Observer, s *stats) {
			if d := read(s); d >= 0 {
				o.ObserveFloat64(i, d.Seconds(), plain)
			}
		})
	}

	info, err := meter.Int64ObservableGauge("holdfast.info", metric.WithUnit("1"),
		metric.WithDescription("1, with the node of the manager in Redis, its name and the version of Holdfast."))
	identity := attribute.NewSet(slices.Concat(common, []attribute.KeyValue{
		attribute.String("holdfast.node", m.Node()), attribute.String("holdfast.node.name", m.NodeName()),
		attribute.String("holdfast.version", m.Version()),
	})...)
	whole(info, err, metric.WithAttributeSet(identity), func(*stats) int64 { return 1 })
	counter("session.opens", "{session}", "Sessions opened, in any mode.", func(s *stats) int64 { return s.Opens })
	counter("session.local_opens", "{session}", "Sessions opened without asking Redis.", func(s *stats) int64 { return s.LocalHits })
	several("session.commits", "{commit}", "Commits that had something to write, by what came of them.", keyOutcome,
		part{ok, func(s *stats) int64 { return s.Commits }},
		part{"conflict", func(s *stats) int64 { return s.Conflicts }},
		part{"unavailable", func(s *stats) int64 { return s.Unavailable }},
		part{"outcome_unknown", func(s *stats) int64 { return s.OutcomeLost }},
		part{"rejected", func(s *stats) int64 { return s.Rejected }})
	several("session.changes", "{session}", "Sessions that were created, given a new token, destroyed or revoked.", keyChange,
		part{"created", func(s *stats) int64 { return s.Created }},
		part{"rotated", func(s *stats) int64 { return s.Rotated }},
		part{"destroyed", func(s *stats) int64 { return s.Destroyed }},
		part{"revoked", func(s *stats) int64 { return s.Revoked }})
	several("session.tokens_rejected", "{token}", "Tokens that opened nothing.", keyReason,
		part{"malformed", func(s *stats) int64 { return s.Malformed }},
		part{"unknown", func(s *stats) int64 { return s.Unknown }},
		part{"superseded", func(s *stats) int64 { return s.Superseded }},
		part{"reused", func(s *stats) int64 { return s.Reused }})
	counter("session.requests_refused", "{request}", "Requests answered by the ErrorHandler.", func(s *stats) int64 { return s.Refused })
	counter("session.unconfirmed", "{request}", "Requests refused at their end: they began with a retained lock, and the session had changed.", func(s *stats) int64 { return s.Unconfirmed })
	counter("session.late_changes", "{request}", "Requests that changed a session after its commit.", func(s *stats) int64 { return s.Late })
	counter("session.records_corrupt", "{record}", "Session records that could not be read.", func(s *stats) int64 { return s.Corrupt })
	counter("session.values_undecodable", "{value}", "Values that could not be decoded or decrypted.", func(s *stats) int64 { return s.Undecodable })

	level("lock.held", "{lock}", "Locks held now.", func(s *stats) int64 { return int64(s.Lock.Held) })
	level("lock.retained", "{lock}", "Locks kept now for a next request.", func(s *stats) int64 { return int64(s.Lock.Retained) })
	level("lock.waiting", "{request}", "Requests that wait for a lock now.", func(s *stats) int64 { return int64(s.Lock.Waiting) })
	counter("lock.acquired", "{lock}", "Locks given out.", func(s *stats) int64 { return s.Lock.Acquired })
	counter("lock.queued", "{request}", "Times that a request waited in Redis' queue.", func(s *stats) int64 { return s.Lock.Queued })
	counter("lock.handed", "{lock}", "Locks that went to the next request of this process in memory.", func(s *stats) int64 { return s.Lock.Handed })
	counter("lock.reused", "{lock}", "Retained locks that were given out without asking Redis.", func(s *stats) int64 { return s.Lock.Reused })
	counter("lock.recalled", "{recall}", "Times that another replica asked for a lock that this one held or retained.", func(s *stats) int64 { return s.Lock.Recalled })
	counter("lock.timeouts", "{request}", "Requests that gave up waiting.", func(s *stats) int64 { return s.Lock.Timeouts })
	counter("lock.refused", "{request}", "Requests turned away because too many were waiting.", func(s *stats) int64 { return s.Lock.Refused })
	counter("lock.lost", "{lock}", "Locks that ended before they were released.", func(s *stats) int64 { return s.Lock.Lost })

	level("cache.entries", "{copy}", "Local copies held now.", func(s *stats) int64 { return int64(s.Cache.Entries) })
	level("cache.size", "By", "Memory for local copies, roughly.", func(s *stats) int64 { return s.Cache.Bytes })
	counter("cache.hits", "{lookup}", "Lookups that found a local copy.", func(s *stats) int64 { return count(s.Cache.Hits) })
	counter("cache.misses", "{lookup}", "Lookups that found none.", func(s *stats) int64 { return count(s.Cache.Misses) })
	counter("cache.evictions", "{copy}", "Local copies dropped for want of room.", func(s *stats) int64 { return count(s.Cache.Evictions) })
	counter("cache.purges", "{purge}", "Times that all local copies were dropped.", func(s *stats) int64 { return count(s.Cache.Purges) })
	several("cache.fills", "{copy}", "Copies that were to be stored, by what came of them.", keyOutcome,
		part{"stored", func(s *stats) int64 { return count(s.Cache.Fills) }},
		part{"voided", func(s *stats) int64 { return count(s.Cache.FillsVoided) }},
		part{"older", func(s *stats) int64 { return count(s.Cache.FillsOlder) }},
		part{"too_large", func(s *stats) int64 { return count(s.Cache.FillsTooLarge) }})

	gauge("feed.connected", "1 while the feed's subscription is confirmed.", func(s *stats) bool { return s.Feed.Connected })
	gauge("feed.proven", "1 while the feed has proof of having heard everything.", func(s *stats) bool { return s.FreshFor >= 0 })
	seconds("feed.age", "Upper bound on the age of the data that a read-only request sees; absent without proof.", func(s *stats) time.Duration { return s.FreshFor })
	seconds("feed.lag", "How long the newest proof was under way.", func(s *stats) time.Duration { return s.Feed.Lag })
	counter("feed.losses", "{loss}", "Subscriptions that were lost.", func(s *stats) int64 { return count(s.Feed.Losses) })
	counter("feed.probes_sent", "{probe}", "Probes sent, in a cluster one per master.", func(s *stats) int64 { return count(s.Feed.ProbesSent) })
	counter("feed.probes_returned", "{probe}", "Probes that came back.", func(s *stats) int64 { return count(s.Feed.ProbesReturned) })
	several("feed.messages", "{message}", "Messages heard, without probes.", keyKind,
		part{"invalidation", func(s *stats) int64 { return count(s.Feed.Invalidations) }},
		part{"grant", func(s *stats) int64 { return count(s.Feed.Grants) }},
		part{"unknown", func(s *stats) int64 { return count(s.Feed.Unknown) }},
		part{"malformed", func(s *stats) int64 { return count(s.Feed.Malformed) }})

	return instruments, func(_ context.Context, o metric.Observer) error {
		s := m.Stats()
		for _, read := range readers {
			read(o, &s)
		}
		return nil
	}, errors.Join(errs...)
}

// count is what OpenTelemetry takes for a count. It does not get as far as the sign.
func count(n uint64) int64 { return int64(n) } //nolint:gosec // see above
