package manager

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cache"
	"github.com/holdfast-go/holdfast/store"
)

// copies are the sessions that this node has read lately. Locked and optimistic requests show Redis the version of
// their copy and are told if it is current; read-only ones use it without asking, within the bounds of alive.
type copies struct {
	cache  *cache.Cache[*localCopy]
	maxAge time.Duration
	start  time.Time // what the times of a localCopy count from, on the monotonic clock

	patience time.Duration // with a commit under way, before its session is in doubt
	doubtful atomic.Int64  // len(doubts), for a look without the mutex

	mu   sync.Mutex
	used []*use // since Redis was last told

	doubts map[string]doubt // by session, of which this node does not know whether it has changed it
}

// localCopy is a record and what this node knows of its time: nanoseconds since copies.start.
type localCopy struct {
	rec       *store.Record
	confirmed atomic.Bool  // Redis has seen that the client has the record's secret, and ended those that it replaced
	read      atomic.Int64 // the server's clock was
	ahead     atomic.Int64 // the server's clock is, in Unix nanoseconds
	ends      atomic.Int64 // the session does, without further use
	use       *use         // nil without an idle timeout
}

// seen is a record as Redis has it, and what it told of the time.
type seen struct {
	rec       *store.Record
	now       time.Time // by the server's clock, as expiry
	expiry    time.Time // zero for never
	sent      time.Time // the request
	clock     clock     // now may be by its reckoning
	confirmed bool
}

// use is what Redis is to be told of a copy. It stands apart from the record, since it waits for its time for as long as
// an eighth of the idle timeout, and the cache may have evicted the record by then.
type use struct {
	id   string
	idle time.Duration
	slid atomic.Int64 // the idle timeout last began anew, as far as Redis knows
	last atomic.Int64 // use that Redis was not told of; 0 for none
}

// maxUses bounds how many uses wait for their time.
const maxUses = 1 << 16

func newCopies(cfg *Config) (*copies, error) {
	c, err := cache.New(cache.Config[*localCopy]{
		MaxBytes: cfg.CacheBytes,
		Size:     func(_ string, lc *localCopy) int { return lc.rec.Size() },
	})
	if err != nil {
		return nil, err
	}
	return &copies{
		cache: c, maxAge: cfg.MaxCopyAge, start: time.Now(), patience: cfg.MaxStaleness / 4, doubts: make(map[string]doubt),
	}, nil
}

func (cs *copies) since(t time.Time) int64 { return int64(t.Sub(cs.start)) }

// known returns the record this node has of a session, current or not, and nil if none.
func (cs *copies) known(id string) *store.Record {
	if cs == nil {
		return nil
	}
	if lc, ok := cs.cache.Get(id); ok {
		return lc.rec
	}
	return nil
}

// begin must be called before Redis is asked for what keep is given.
func (cs *copies) begin(id string) cache.Fill {
	if cs == nil {
		return cache.Fill{}
	}
	return cs.cache.Begin(id)
}

// keep stores what Redis has answered.
func (cs *copies) keep(f cache.Fill, o seen) {
	if cs == nil {
		return
	}
	lc, ok := cs.cache.Get(o.rec.ID)
	if !ok || lc.rec != o.rec {
		lc = &localCopy{rec: o.rec}
		if o.rec.Idle > 0 {
			lc.use = &use{id: o.rec.ID, idle: o.rec.Idle}
		}
		lc.refresh(cs, o)
		if !cs.cache.Put(f, o.rec.Counter(), lc) {
			// A commit of this node gets no message; whatever is here now may be older than it.
			cs.cache.Invalidate(o.rec.ID)
		}
		return
	}
	lc.refresh(cs, o)
}

// refresh notes the time, and how long the session lives.
func (lc *localCopy) refresh(cs *copies, o seen) {
	ends := int64(math.MaxInt64)
	if !o.expiry.IsZero() {
		ends = cs.since(o.sent.Add(o.expiry.Sub(o.now)))
	}
	lc.ends.Store(ends)
	if lc.use != nil {
		lc.use.slid.Store(cs.since(o.sent))
	}
	read := cs.since(o.clock.local)
	lc.ahead.Store(o.clock.server.UnixNano() - read)
	lc.read.Store(read)
	if o.confirmed {
		lc.confirmed.Store(true)
	}
}

// clock returns the server's clock as it was when it was read last.
func (lc *localCopy) clock(cs *copies) clock {
	read := lc.read.Load()
	return clock{server: time.Unix(0, lc.ahead.Load()+read), local: cs.start.Add(time.Duration(read))}
}

// alive returns the copy of a session for use without asking Redis. It must have been checked not too long ago, and
// well within the idle timeout, so that what Redis is told of its uses later comes in time.
func (cs *copies) alive(id string, at time.Time) *localCopy {
	if cs == nil {
		return nil
	}
	lc, ok := cs.cache.Get(id)
	if !ok {
		return nil
	}
	now := cs.since(at)
	if now >= lc.ends.Load() || now >= lc.read.Load()+int64(cs.maxAge) || cs.doubted(id, now) {
		return nil
	}
	if lc.use != nil {
		if now >= lc.use.slid.Load()+int64(lc.use.idle)/2 {
			return nil
		}
		if lc.use.last.Swap(now) == 0 {
			cs.mu.Lock()
			cs.used = append(cs.used, lc.use)
			cs.mu.Unlock()
		}
	}
	return lc
}

// drop forgets a session and voids the fills under way.
func (cs *copies) drop(id string) {
	if cs != nil {
		cs.cache.Invalidate(id)
	}
}

// forget forgets everything.
func (cs *copies) forget() { cs.cache.Purge() }

// uses takes the uses that Redis should be told of now. Those of copies whose idle timeout began anew a short while ago
// wait for a later time, unless too many do: the use is counted from when it happened.
func (cs *copies) uses(all bool) (due []*use) {
	if cs == nil {
		return nil
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	all = all || len(cs.used) > maxUses
	now := cs.since(time.Now())
	cs.tidy(now)
	var later []*use
	for _, u := range cs.used {
		if all || now >= u.slid.Load()+int64(u.idle)/8 {
			due = append(due, u)
		} else {
			later = append(later, u)
		}
	}
	cs.used = later
	return due
}

// touchBatch bounds one pipeline of touches.
const touchBatch = 512

// touch tells Redis, in the background, of the sessions that were used from local copies, so that reading keeps them
// alive: one pipeline per tick, and per session one command in an eighth of its idle timeout at most.
func (m *Manager) touch() {
	tick := time.NewTicker(min(time.Second, m.cfg.MaxStaleness/4))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.tell(m.copies.uses(false))
		case <-m.stop:
			m.tell(m.copies.uses(true))
			return
		}
	}
}

func (m *Manager) tell(used []*use) {
	cs := m.copies
	for len(used) > 0 {
		batch := used[:min(len(used), touchBatch)]
		used = used[len(batch):]
		uses := make([]store.Use, len(batch))
		for i, u := range batch {
			uses[i] = store.Use{ID: u.id, At: cs.start.Add(time.Duration(u.last.Swap(0)))}
		}
		touched, err := m.store.Touch(context.Background(), uses...)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			m.cfg.Logger.Warn("holdfast: idle timeouts could not be prolonged", "sessions", len(uses), "error", err)
		}
		for _, t := range touched {
			cs.told(t)
		}
	}
}

// told notes what Redis said of a session.
func (cs *copies) told(t store.Touched) {
	lc, ok := cs.cache.Get(t.ID)
	switch {
	case !ok:
	case t.Gone:
		cs.drop(t.ID)
	default:
		if t.Lives >= 0 && lc.use != nil {
			lc.ends.Store(cs.since(t.Sent.Add(t.Lives)))
			lc.use.slid.Store(cs.since(t.Sent.Add(t.Lives - lc.rec.Idle)))
		}
	}
}
