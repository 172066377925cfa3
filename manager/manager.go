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
	"github.com/holdfast-go/holdfast/invalidate"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// Manager opens and commits the sessions of one application on one node. Make one per process and prefix. It is safe
// for concurrent use.
type Manager struct {
	cfg     Config
	node    string
	tokens  tokens
	locker  *lock.Locker
	store   store.Sessions
	redis   *store.Store // the same, if the sessions are in Redis beside their locks; nil with Config.Store
	feed    *invalidate.Feed
	copies  *copies // nil: none are kept
	habits  *habits
	vault   *vault   // of values in Redis; nil: they are not encrypted
	cookies *vault   // of Sealed values
	varies  []string // request headers that the token may come in
	faith   *faith   // of the codec, if it is one of this package
	login   *url.URL // Config.LoginURL; nil if there is none

	plain      sync.Once // the warning about plain HTTP
	closed     atomic.Bool
	underWay   underWay       // sessions that requests have had open for a while
	stop       chan struct{}  // ends the toucher
	stopOnce   sync.Once      //
	background sync.WaitGroup // the toucher
	counts     counts
}

// New returns a Manager on the client: a single Redis, Sentinel or Cluster, Valkey included. The client stays the
// caller's: it is never changed and never closed, and must live longer than the Manager. A nil Config takes the
// defaults; a Config is copied, and a mistake in it is an error that names the field. New does not wait for Redis.
//
// Config.Timeout holds although the client would wait for longer: such a client is called in a goroutine for each call,
// which costs some 10 us each. A single or Sentinel client whose ReadTimeout and WriteTimeout are no longer than that, as
// by default, is called directly, and so is any client with ContextTimeoutEnabled. What the Config brings, such as a
// Store, stays the caller's likewise.
func New(client redis.UniversalClient, cfg *Config) (*Manager, error) {
	if client == nil {
		return nil, errors.New("manager: the client is nil: pass the go-redis client of the application")
	}
	c := cfg.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	m := &Manager{
		cfg: c, habits: newHabits(), tokens: newTokens(c.TokenKeys), varies: varyOf(c.Propagator), faith: faithOf(c.Codec),
		underWay: newUnderWay(), stop: make(chan struct{}),
	}
	if err := m.keys(); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	var err error
	if m.login, err = parseLogin(c.LoginURL); err != nil {
		return nil, fmt.Errorf("manager: Config.%w", err)
	}
	c.warn()
	if err := m.build(client); err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	return m, nil
}

// Node returns what names this Manager in Redis: the locks that it holds or waits for begin with it, and a dot. It is drawn
// anew by each New, may be logged and grants nothing.
func (m *Manager) Node() string { return m.node }

// Lifetime returns Config.Lifetime as it is in force: with its default, and negative if it is off.
func (m *Manager) Lifetime() time.Duration { return m.cfg.Lifetime }

// Propagator returns Config.Propagator as it is in force: with its default. An adapter to another library's interface
// learns from it what the cookie will be.
func (m *Manager) Propagator() Propagator { return m.cfg.Propagator }

// keys derives what encrypts.
func (m *Manager) keys() (err error) {
	if m.vault, err = newVault(m.cfg.EncryptionKeys, "values"); err != nil {
		return err
	}
	m.cookies, err = newVault(m.cfg.EncryptionKeys, "cookies")
	return err
}

// build makes the parts. The feed comes last, since it calls the others.
func (m *Manager) build(client redis.UniversalClient) (err error) {
	c := &m.cfg
	node := keys.NewNode()
	m.node = node
	grant := min(2*time.Second, c.LockTTL)
	keeper := node
	if c.CacheBytes < 0 || c.Store != nil {
		keeper = "" // another store tells nobody of changes
	}
	if m.store = c.Store; m.store == nil {
		m.redis, err = store.New(client, store.Config{
			Prefix: c.Prefix, Node: keeper, Timeout: c.Timeout,
			LockTTL: c.LockTTL, GrantTTL: grant, Grace: c.RotateGrace, Replicas: c.WaitReplicas,
		})
		if err != nil {
			return err
		}
		m.store = m.redis
	}
	if keeper != "" {
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
	space := keys.In(c.Prefix)
	m.feed, err = invalidate.Start(client, invalidate.Config{
		Node: space.Node(node), Broadcast: space.Nodes(),
		ProbeInterval: c.MaxStaleness / 4, Timeout: 3 * (c.MaxStaleness / 4),
		OnInvalidate: m.invalidated, OnGrant: m.locker.Granted, OnRecall: m.locker.Recalled,
		OnForget: m.forget, OnRecover: m.locker.Recheck, Logger: c.Logger,
	})
	if err != nil {
		return errors.Join(err, m.locker.Close(context.Background()))
	}
	m.background.Go(m.touch)
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

// Close ends the Manager. Requests that wait for a session, and new ones, fail with ErrClosed; those that have one may
// finish until ctx ends, then their locks are taken from them and their commits fail. When Close returns nil, no lock
// of this node is left in Redis and no goroutine of the Manager runs; otherwise the error says what is left. Shut the
// HTTP server down first. Close may be called again. It does not close the client.
func (m *Manager) Close(ctx context.Context) error {
	m.closed.Store(true) // 1. nobody new, and no commit without a lock
	err := m.locker.Close(ctx)
	m.stopOnce.Do(func() { close(m.stop) }) // 2. the last uses are told to Redis
	m.background.Wait()
	err = errors.Join(err, m.feed.Close(ctx)) // 3. nobody needs a message any more
	if err != nil {
		return fmt.Errorf("close sessions: %w", err)
	}
	return nil
}
