package promsession

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/manager"
)

// figure is one time series that is read from Stats.
type figure struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string // values of the variable labels
	value  func(*manager.Stats) (v float64, known bool)
}

type number interface{ ~int | ~int64 | ~uint64 }

// of reads a count.
func of[N number](read func(*manager.Stats) N) func(*manager.Stats) (float64, bool) {
	return func(s *manager.Stats) (float64, bool) { return float64(read(s)), true }
}

// when is 1 or 0.
func when(read func(*manager.Stats) bool) func(*manager.Stats) (float64, bool) {
	return func(s *manager.Stats) (float64, bool) {
		if read(s) {
			return 1, true
		}
		return 0, true
	}
}

// seconds reads a time, which is unknown while it is negative.
func seconds(read func(*manager.Stats) time.Duration) func(*manager.Stats) (float64, bool) {
	return func(s *manager.Stats) (float64, bool) { return read(s).Seconds(), read(s) >= 0 }
}

// part is one value of a label, with its count.
type part struct {
	label string
	value func(*manager.Stats) (float64, bool)
}

// figures lists what is exported from Stats.
func figures(constant prometheus.Labels) []figure {
	l := &list{constant: constant}
	l.sessions()
	l.locks()
	l.copies()
	l.feed()
	return l.all
}

// list collects figures.
type list struct {
	constant prometheus.Labels // of every figure
	all      []figure
}

const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue

func (l *list) one(kind prometheus.ValueType, name, help string, value func(*manager.Stats) (float64, bool)) {
	l.all = append(l.all, figure{prometheus.NewDesc("holdfast_"+name, help, nil, l.constant), kind, nil, value})
}

// several is a counter with a label.
func (l *list) several(name, help, label string, parts ...part) {
	desc := prometheus.NewDesc("holdfast_"+name, help, []string{label}, l.constant)
	for _, p := range parts {
		l.all = append(l.all, figure{desc, counter, []string{p.label}, p.value})
	}
}

func (l *list) sessions() {
	l.one(counter, "session_opens_total", "Sessions opened, in any mode.", of(func(s *manager.Stats) int64 { return s.Opens }))
	l.one(counter, "session_local_opens_total", "Sessions opened without a call to Redis.", of(func(s *manager.Stats) int64 { return s.LocalHits }))
	l.several("session_commits_total", "Commits that had something to write, by outcome.", "outcome",
		part{"ok", of(func(s *manager.Stats) int64 { return s.Commits })},
		part{"conflict", of(func(s *manager.Stats) int64 { return s.Conflicts })},
		part{"unavailable", of(func(s *manager.Stats) int64 { return s.Unavailable })},
		part{"outcome_unknown", of(func(s *manager.Stats) int64 { return s.OutcomeLost })},
		part{"rejected", of(func(s *manager.Stats) int64 { return s.Rejected })})
	l.several("session_changes_total", "Sessions that were created, given a new token, destroyed or revoked.", "change",
		part{"created", of(func(s *manager.Stats) int64 { return s.Created })},
		part{"rotated", of(func(s *manager.Stats) int64 { return s.Rotated })},
		part{"destroyed", of(func(s *manager.Stats) int64 { return s.Destroyed })},
		part{"revoked", of(func(s *manager.Stats) int64 { return s.Revoked })})
	l.several("session_tokens_rejected_total", "Tokens that opened nothing.", "reason",
		part{"malformed", of(func(s *manager.Stats) int64 { return s.Malformed })},
		part{"unknown", of(func(s *manager.Stats) int64 { return s.Unknown })},
		part{"superseded", of(func(s *manager.Stats) int64 { return s.Superseded })},
		part{"reused", of(func(s *manager.Stats) int64 { return s.Reused })})
	l.one(counter, "session_requests_refused_total", "Requests answered by the ErrorHandler.", of(func(s *manager.Stats) int64 { return s.Refused }))
	l.one(counter, "session_unconfirmed_total", "Requests refused at their end: they began with a retained lock, and the session had changed.", of(func(s *manager.Stats) int64 { return s.Unconfirmed }))
	l.one(counter, "session_late_changes_total", "Requests that changed a session after its commit.", of(func(s *manager.Stats) int64 { return s.Late }))
	l.one(counter, "session_records_corrupt_total", "Session records that could not be read.", of(func(s *manager.Stats) int64 { return s.Corrupt }))
	l.one(counter, "session_values_undecodable_total", "Values that could not be decoded or decrypted.", of(func(s *manager.Stats) int64 { return s.Undecodable }))
}

func (l *list) locks() {
	l.one(gauge, "lock_held", "Locks held now.", of(func(s *manager.Stats) int { return s.Lock.Held }))
	l.one(gauge, "lock_retained", "Locks kept now for a next request.", of(func(s *manager.Stats) int { return s.Lock.Retained }))
	l.one(gauge, "lock_waiting", "Requests that wait for a lock now.", of(func(s *manager.Stats) int { return s.Lock.Waiting }))
	l.one(counter, "lock_acquired_total", "Locks given out.", of(func(s *manager.Stats) int64 { return s.Lock.Acquired }))
	l.one(counter, "lock_queued_total", "Times that a request waited in the queue in Redis.", of(func(s *manager.Stats) int64 { return s.Lock.Queued }))
	l.one(counter, "lock_handed_total", "Locks that went to the next request of this process in memory.", of(func(s *manager.Stats) int64 { return s.Lock.Handed }))
	l.one(counter, "lock_reused_total", "Retained locks that were given out without a call to Redis.", of(func(s *manager.Stats) int64 { return s.Lock.Reused }))
	l.one(counter, "lock_recalled_total", "Times that another replica asked for a lock that this one held or retained.", of(func(s *manager.Stats) int64 { return s.Lock.Recalled }))
	l.one(counter, "lock_timeouts_total", "Requests that gave up waiting.", of(func(s *manager.Stats) int64 { return s.Lock.Timeouts }))
	l.one(counter, "lock_refused_total", "Requests refused because too many were waiting.", of(func(s *manager.Stats) int64 { return s.Lock.Refused }))
	l.one(counter, "lock_lost_total", "Locks that ended before they were released.", of(func(s *manager.Stats) int64 { return s.Lock.Lost }))
}

func (l *list) copies() {
	l.one(gauge, "cache_entries", "Local copies held now.", of(func(s *manager.Stats) int { return s.Cache.Entries }))
	l.one(gauge, "cache_size_bytes", "Memory for local copies, roughly.", of(func(s *manager.Stats) int64 { return s.Cache.Bytes }))
	l.one(counter, "cache_hits_total", "Lookups that found a local copy.", of(func(s *manager.Stats) uint64 { return s.Cache.Hits }))
	l.one(counter, "cache_misses_total", "Lookups that found none.", of(func(s *manager.Stats) uint64 { return s.Cache.Misses }))
	l.one(counter, "cache_evictions_total", "Local copies dropped to stay within CacheBytes.", of(func(s *manager.Stats) uint64 { return s.Cache.Evictions }))
	l.one(counter, "cache_purges_total", "Times that all local copies were dropped.", of(func(s *manager.Stats) uint64 { return s.Cache.Purges }))
	l.several("cache_fills_total", "Copies that were to be stored, by outcome.", "outcome",
		part{"stored", of(func(s *manager.Stats) uint64 { return s.Cache.Fills })},
		part{"voided", of(func(s *manager.Stats) uint64 { return s.Cache.FillsVoided })},
		part{"older", of(func(s *manager.Stats) uint64 { return s.Cache.FillsOlder })},
		part{"too_large", of(func(s *manager.Stats) uint64 { return s.Cache.FillsTooLarge })})
}

func (l *list) feed() {
	l.one(gauge, "feed_connected", "1 while the feed's subscription is confirmed.", when(func(s *manager.Stats) bool { return s.Feed.Connected }))
	l.one(gauge, "feed_proven", "1 while the feed has evidence that it missed no message.", when(func(s *manager.Stats) bool { return s.FreshFor >= 0 }))
	l.one(gauge, "feed_age_seconds", "Upper bound on the age of the data that a read-only request sees; absent without proof.", seconds(func(s *manager.Stats) time.Duration { return s.FreshFor }))
	l.one(gauge, "feed_lag_seconds", "How long the newest heartbeat took to return.", seconds(func(s *manager.Stats) time.Duration { return s.Feed.Lag }))
	l.one(counter, "feed_losses_total", "Subscriptions that were lost.", of(func(s *manager.Stats) uint64 { return s.Feed.Losses }))
	l.one(counter, "feed_probes_sent_total", "Probes sent, in a cluster one per master.", of(func(s *manager.Stats) uint64 { return s.Feed.ProbesSent }))
	l.one(counter, "feed_probes_returned_total", "Probes that came back.", of(func(s *manager.Stats) uint64 { return s.Feed.ProbesReturned }))
	l.several("feed_messages_total", "Messages received, without heartbeats and recalls.", "kind",
		part{"invalidation", of(func(s *manager.Stats) uint64 { return s.Feed.Invalidations })},
		part{"grant", of(func(s *manager.Stats) uint64 { return s.Feed.Grants })},
		part{"unknown", of(func(s *manager.Stats) uint64 { return s.Feed.Unknown })},
		part{"malformed", of(func(s *manager.Stats) uint64 { return s.Feed.Malformed })})
}
