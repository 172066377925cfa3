package manager

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/loglimit"
	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/roster"
	"github.com/holdfast-go/holdfast/invalidate"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Manager opens and commits the sessions of one application in one process. Make one per process
// and prefix. It is safe for concurrent use.
type Manager struct {
	policy
	node      string
	version   string
	started   time.Time
	locker    *lock.Locker
	locks     *lock.Inspector // for the log
	roster    *roster.Roster
	store     store.Sessions
	feed      *invalidate.Feed
	copies    *copies // nil: none are kept
	habits    *habits
	cookies   *sealer    // of Sealed values
	varies    []string   // request headers that the token may come in
	lossCheck *lossCheck // of the codec, if it is one of this package
	login     *url.URL   // Config.LoginURL; nil if there is none

	plainHTTP  sync.Once // the warning about plain HTTP
	closed     atomic.Bool
	admissions admissions    // tokens on their way to a lock
	underWay   underWay      // sessions that requests have had open for a while
	stop       chan struct{} // ends what runs in the background
	stopOnce   sync.Once
	background sync.WaitGroup // touch and announce
	counts     counts
	stopLog    func() // from then on every line is logged
}

// New returns a Manager that uses the client: a single Redis, Sentinel or Cluster, Valkey included.
// A nil Config uses the defaults. New copies the Config. If a field is invalid, it returns an error
// that names the field. New does not wait for Redis.
//
// The caller owns the client and what the Config refers to, such as a Store. The Manager neither
// changes nor closes the client, which must live longer than the Manager.
//
// Config.Timeout applies even if the client would wait longer. Each call to such a client runs in a
// separate goroutine, which costs some 10 µs. The Manager calls a client directly if it has
// ContextTimeoutEnabled, or if it is for a single Redis or Sentinel and its ReadTimeout and
// WriteTimeout are at most Config.Timeout, as they are by default.
func New(client redis.UniversalClient, cfg *Config) (*Manager, error) {
	if rdb.IsNil(client) {
		return nil, errors.New("manager: the client is nil: pass the go-redis client of the application")
	}
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	m := &Manager{
		policy: policy{cfg: c, tokens: newTokens(c.TokenKeys)}, habits: newHabits(), varies: varyOf(c.Propagator), lossCheck: lossCheckOf(c.Codec),
		admissions: newAdmissions(), underWay: newUnderWay(), stop: make(chan struct{}), version: version(), started: time.Now(),
	}
	if err := m.deriveKeys(); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	var err error
	if m.login, err = parseLogin(c.LoginURL); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	c.warn()
	m.cfg.Logger, m.stopLog = loglimit.New(c.Logger)
	if err := m.build(client); err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	return m, nil
}

// apart is a store of the caller's, which knows nothing of locks.
type apart struct{ store.Sessions }

// withLocks returns the store if its scripts move the locks as well, and nil with Config.Store.
func (m *Manager) withLocks() *store.Store {
	s, _ := m.store.(*store.Store)
	return s
}

// Node returns the random name of this Manager in Redis. The values of the locks that it holds or
// waits for begin with this name and a dot. It changes with each New, may be logged and grants
// nothing.
func (m *Manager) Node() string { return m.node }

// Lifetime returns Config.Lifetime with its default applied. It is negative if there is no limit.
func (m *Manager) Lifetime() time.Duration { return m.cfg.Lifetime }

// Propagator returns Config.Propagator with its default applied, so that an adapter to another
// session library knows the cookie's settings.
func (m *Manager) Propagator() Propagator { return m.cfg.Propagator }

// deriveKeys derives what encrypts, and keeps of the keys only how many there are: package fmt prints a field of another
// struct without its String method.
func (m *Manager) deriveKeys() (err error) {
	if m.values, err = newSealer(m.cfg.EncryptionKeys, "values"); err != nil {
		return err
	}
	if m.cookies, err = newSealer(m.cfg.EncryptionKeys, "cookies"); err != nil {
		return err
	}
	m.cfg.TokenKeys = make([][]byte, len(m.cfg.TokenKeys))
	m.cfg.EncryptionKeys = make([][]byte, len(m.cfg.EncryptionKeys))
	return nil
}

// build makes the parts. The feed comes last, since it calls the others.
func (m *Manager) build(client redis.UniversalClient) (err error) {
	c := &m.cfg
	node := keys.NewNode()
	m.node = node
	grant := min(2*time.Second, c.LockTTL)
	copyNode := node // that keeps local copies
	if c.CacheBytes < 0 || c.Store != nil {
		copyNode = "" // another store sends no invalidations
	}
	if c.Store != nil {
		m.store = apart{c.Store}
	} else {
		m.store, err = store.New(client, store.Config{
			Prefix: c.Prefix, Node: copyNode, Timeout: c.Timeout,
			LockTTL: c.LockTTL, GrantTTL: grant, Grace: c.RotateGrace, Replicas: c.WaitReplicas,
		})
		if err != nil {
			return err
		}
	}
	if copyNode != "" {
		if m.copies, err = newCopies(c); err != nil {
			return err
		}
	}
	m.locker, err = lock.New(client, &lock.Config{
		Prefix: c.Prefix, Node: node, TTL: c.LockTTL, GrantTTL: grant, Wait: c.LockWait,
		MaxHold: c.MaxHold, Retain: max(c.Retain, 0), OnRecall: m.habits.recalled, MaxWaiters: c.MaxWaiters, Timeout: c.Timeout, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	if m.locks, err = lock.NewInspector(client, c.Prefix, c.Timeout); err != nil {
		return errors.Join(err, m.locker.Close(context.Background()))
	}
	space := keys.In(c.Prefix)
	// Its Timeout bounds how old the data is that hearsOfChanges allows to show. The rest of MaxStaleness is for the request itself.
	m.feed, err = invalidate.Start(client, invalidate.Config{
		Node: space.Node(node), Broadcast: space.Nodes(),
		ProbeInterval: c.MaxStaleness / 4, Timeout: 3 * (c.MaxStaleness / 4),
		OnInvalidate: m.invalidated, OnGrant: m.locker.Granted, OnRecall: m.locker.Recalled,
		OnForget: m.forget, OnRecover: m.locker.Recheck, Logger: c.Logger,
	})
	if err != nil {
		return errors.Join(err, m.locker.Close(context.Background()))
	}
	m.roster = roster.New(client, c.Prefix, c.Timeout)
	m.background.Go(m.touch)
	m.background.Go(m.announce)
	m.logStart()
	return nil
}

func (m *Manager) invalidated(id string) {
	m.counts.invalidations.Add(1)
	if m.copies != nil {
		m.copies.drop(id)
	}
}

func (m *Manager) forget() {
	if m.copies != nil {
		m.copies.forget()
	}
}

// Close ends the Manager. Requests that wait for a session fail with ErrClosed, and so do new ones.
// Requests that have a session may finish until ctx ends; then they lose their locks and their
// commits fail. If Close returns nil, this Manager has no lock left in Redis and no goroutine
// running. Otherwise the error names what is left. A call to Redis that is under way is not cut
// short, so Close may take Config.Timeout longer than ctx. Shut down the HTTP server first. Close
// may be called again. It does not close the client.
func (m *Manager) Close(ctx context.Context) error {
	m.closed.Store(true) // 1. no new requests, and no commit without a lock
	err := m.locker.Close(ctx)
	m.stopOnce.Do(func() { close(m.stop) }) // 2. Redis hears of the last uses
	m.background.Wait()
	err = errors.Join(err, m.feed.Close(ctx)) // 3. messages are no longer needed
	m.stopLog()
	if err != nil {
		return fmt.Errorf("close sessions: %w", err)
	}
	return nil
}
