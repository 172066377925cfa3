package manager

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/cache"
	"github.com/holdfast-go/holdfast/store"
)

// copies are the sessions that this node has read lately. Locked and optimistic requests show Redis the version of
// their copy and learn whether it is current; read-only ones use it without asking, within the bounds of alive.
type copies struct {
	cache  *cache.Cache[*localCopy]
	maxAge time.Duration
	start  time.Time // what the times of a localCopy count from, on the monotonic clock

	commitGrace time.Duration // for a commit under way, before the copy of its session may be old
	uncertain   atomic.Int64  // len(commits), for a look without the mutex

	uses pendingUses
	tick time.Duration // how often Redis hears of them

	sent sync.Pool // of *sending

	mu      sync.Mutex
	commits map[string]pendingCommit // by session, of which this node does not know whether it has changed it; guarded by mu
}

// localCopy is a record and what this node knows of its time: nanoseconds since copies.start.
type localCopy struct {
	rec        *store.Record
	confirmed  atomic.Bool  // Redis has seen that the client has the record's secret, and ended those that it replaced
	read       atomic.Int64 // when the server's clock was read
	ahead      atomic.Int64 // the server's clock at copies.start, in Unix nanoseconds
	ends       atomic.Int64 // when the session ends without further use
	registered atomic.Bool  // this node gets a message when the session changes
	streak     atomic.Int32 // how many requests in a row this node has served
	use        *use         // nil without an idle timeout
}

// seen is a record as Redis has it, and the times that came with it.
type seen struct {
	rec        *store.Record
	now        time.Time // by the server's clock, or estimated with clock
	expiry     time.Time // by the same clock; zero for never
	sent       time.Time // when the request was sent, by this process's clock
	clock      clock
	confirmed  bool
	registered bool
	streak     int
}

// maxStreak is as far as requests in a row are counted.
const maxStreak = 1 << 10

func newCopies(cfg *Config) (*copies, error) {
	c, err := cache.New(cache.Config[*localCopy]{
		MaxBytes: cfg.CacheBytes,
		Size:     func(_ string, lc *localCopy) int { return lc.rec.Size() },
	})
	if err != nil {
		return nil, err
	}
	return &copies{
		cache: c, maxAge: cfg.MaxCopyAge, start: time.Now(), tick: cfg.touchTick(), commitGrace: cfg.MaxStaleness / 4,
		commits: make(map[string]pendingCommit),
	}, nil
}

func (cs *copies) since(t time.Time) int64 { return int64(t.Sub(cs.start)) }

// get returns the copy this node has of a session, current or not, and nil if none.
func (cs *copies) get(id string) *localCopy {
	if cs == nil {
		return nil
	}
	lc, _ := cs.cache.Get(id)
	return lc
}

// begin must be called before the query whose answer keep stores.
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
		lc = &localCopy{rec: o.rec, use: lc.useFor(o.rec)}
		lc.refresh(cs, o)
		if !cs.cache.Put(f, o.rec.Counter(), lc) {
			// A commit of this node gets no message; whatever is here now may be older than it.
			cs.cache.Invalidate(o.rec.ID)
		}
		return
	}
	lc.refresh(cs, o)
}

// useFor returns what a new copy records its uses in: the same as the copy before it, which may be nil, so that a use is
// dropped once Redis has heard of a later one.
func (lc *localCopy) useFor(rec *store.Record) *use {
	switch {
	case rec.Idle <= 0:
		return nil
	case lc != nil && lc.use != nil && lc.use.idle == rec.Idle:
		return lc.use
	}
	return &use{id: rec.ID, idle: rec.Idle}
}

// refresh records the time, and how long the session lives.
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
	lc.registered.Store(o.registered)
	lc.streak.Store(int32(min(o.streak, maxStreak))) //nolint:gosec // it is small
}

// clock returns the server's clock as it was when it was read last.
func (lc *localCopy) clock(cs *copies) clock {
	read := lc.read.Load()
	return clock{server: time.Unix(0, lc.ahead.Load()+read), local: cs.start.Add(time.Duration(read))}
}

// alive reports whether a copy may be used without a call to Redis. It must have been checked not too long ago, and early
// enough in the idle timeout that Redis hears of the use in time.
func (cs *copies) alive(lc *localCopy, at time.Time) bool {
	now := cs.since(at)
	if now >= lc.ends.Load() || now-lc.read.Load() >= int64(cs.maxAge) || cs.mayBeOld(lc.rec.ID, now) {
		return false
	}
	// A use may wait for one tick, and the call takes time too.
	u := lc.use
	return u == nil || now-u.slid.Load() < int64(min(u.idle/2, u.idle-2*cs.tick))
}

// refreshed records that Redis has found a copy to be current, and that its idle timeout began again then.
func (cs *copies) refreshed(lc *localCopy, o *store.Opened, streak int) {
	sent := cs.since(o.Sent)
	if idle := lc.rec.Idle; idle > 0 {
		lc.ends.Store(sent + int64(idle))
		lc.use.slid.Store(sent)
	}
	lc.registered.Store(o.Registered)
	lc.streak.Store(int32(min(streak, maxStreak))) //nolint:gosec // it is small
}

// drop forgets a session and voids the fills under way.
func (cs *copies) drop(id string) {
	if cs != nil {
		cs.cache.Invalidate(id)
	}
}

// forget forgets everything.
func (cs *copies) forget() { cs.cache.Purge() }

// touched records what Redis has answered to a touch.
func (cs *copies) touched(t store.Touched) {
	if cs == nil {
		return
	}
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
