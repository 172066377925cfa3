package manager

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/store"
)

// warn logs settings that are accepted and may surprise.
func (c *Config) warn() {
	if c.LockWait > 0 && c.LockWait <= c.LockTTL {
		c.Logger.Warn("holdfast: LockWait is not longer than LockTTL: a request that meets the lock of a process that died fails with ErrLockTimeout before it is served; make LockWait longer, or LockTTL shorter",
			"LockWait", c.LockWait, "LockTTL", c.LockTTL)
	}
}

// validate checks the settings. Its errors name the field and the fix.
func (c *Config) validate() error {
	return cmp.Or(c.validateLife(), c.validateCopies(), c.validateLock(), c.validateRest(), c.validateKeys())
}

// validateLife checks how long sessions and tokens live.
func (c *Config) validateLife() error {
	switch {
	case c.Lifetime < 0 && c.IdleTimeout <= 0:
		return errors.New("Lifetime is off and so is IdleTimeout: sessions would never end; set one of them")
	case c.Lifetime > 0 && c.Lifetime < time.Millisecond, c.IdleTimeout > 0 && c.IdleTimeout < time.Millisecond:
		return fmt.Errorf("Lifetime is %v and IdleTimeout is %v: Redis counts milliseconds; make them longer", c.Lifetime, c.IdleTimeout)
	case c.Lifetime > 0 && c.IdleTimeout > c.Lifetime:
		return fmt.Errorf("IdleTimeout is %v: it must not be longer than Lifetime (%v), which ends the session anyway", c.IdleTimeout, c.Lifetime)
	case c.RotateEvery > 0 && c.Lifetime > 0 && c.RotateEvery >= c.Lifetime:
		return fmt.Errorf("RotateEvery is %v: it must be shorter than Lifetime (%v), or it never happens", c.RotateEvery, c.Lifetime)
	case c.EndOnReuse && c.RotateEvery <= 0:
		return errors.New("EndOnReuse is set and RotateEvery is not: there is no token to reuse; set both")
	case c.RotateThreshold > 0 && c.Lifetime > 0 && c.RotateThreshold >= c.Lifetime:
		return fmt.Errorf("RotateThreshold is %v: it must be shorter than Lifetime (%v), or no token ever gets that old", c.RotateThreshold, c.Lifetime)
	case c.RotateGrace < time.Millisecond:
		return fmt.Errorf("RotateGrace is %v: parallel tabs need it; set some seconds, at least 1ms", c.RotateGrace)
	case c.RotateEvery > longest || c.RotateGrace > longest || c.Lifetime > longest || c.IdleTimeout > longest:
		return fmt.Errorf("Lifetime is %v, IdleTimeout is %v, RotateEvery is %v and RotateGrace is %v: set at most %v (100 years) each",
			c.Lifetime, c.IdleTimeout, c.RotateEvery, c.RotateGrace, longest)
	}
	return nil
}

// validateCopies checks how long local copies are used.
func (c *Config) validateCopies() error {
	switch {
	case c.MaxStaleness < 40*time.Millisecond:
		return fmt.Errorf("MaxStaleness is %v: heartbeats take longer than that; set at least 40ms", c.MaxStaleness)
	case c.MaxStaleness > time.Hour:
		return fmt.Errorf("MaxStaleness is %v: a lost connection would go unnoticed for that long; set at most 1h", c.MaxStaleness)
	case c.MaxCopyAge < 0:
		return fmt.Errorf("MaxCopyAge is %v: set a positive time, or turn copies off with a negative CacheBytes", c.MaxCopyAge)
	}
	return nil
}

// validateLock checks the times of locks.
func (c *Config) validateLock() error {
	switch {
	case c.LockTTL < 30*time.Millisecond:
		return fmt.Errorf("LockTTL is %v: it must be at least 30ms, so that it can be renewed in time", c.LockTTL)
	case c.LockTTL > 24*time.Hour:
		return fmt.Errorf("LockTTL is %v: a process that died would lock its sessions for that long; set at most 24h", c.LockTTL)
	case c.MaxHold > 0 && c.MaxHold < 30*time.Millisecond:
		return fmt.Errorf("MaxHold is %v: it is too short to be enforced; set at least 30ms, or a negative value for no limit", c.MaxHold)
	case c.Retain > 0 && c.Retain < lock.MinRetain:
		return fmt.Errorf("Retain is %v: a request would lose such a lock before it is renewed; set at least %v, or a negative one to switch it off",
			c.Retain, lock.MinRetain)
	case c.Retain > c.LockTTL:
		return fmt.Errorf("Retain is %v: it must not be longer than LockTTL (%v); a negative one switches it off", c.Retain, c.LockTTL)
	}
	return nil
}

// validateRest checks limits, policies and names.
func (c *Config) validateRest() error {
	switch {
	case c.MaxWaiters < 1:
		return fmt.Errorf("MaxWaiters is %d: set at least 1", c.MaxWaiters)
	case c.OnUnavailable < Fail || c.OnUnavailable > Anonymous:
		return fmt.Errorf("OnUnavailable is %d: set Fail or Anonymous", c.OnUnavailable)
	case c.WaitReplicas < 0:
		return fmt.Errorf("WaitReplicas is %d: set the number of Redis replicas, or 0", c.WaitReplicas)
	case c.Timeout < time.Millisecond:
		return fmt.Errorf("Timeout is %v: set at least 1ms", c.Timeout)
	case c.Timeout > store.MaxTimeout:
		return fmt.Errorf("Timeout is %v: a commit could arrive when Redis no longer remembers that its session was removed; set at most %v",
			c.Timeout, store.MaxTimeout)
	case c.WaitReplicas > 0 && c.Timeout < 2*time.Millisecond:
		return fmt.Errorf("Timeout is %v: half of it is for WaitReplicas, in whole milliseconds; set at least 2ms", c.Timeout)
	case strings.ContainsAny(c.Prefix, "{}"):
		return fmt.Errorf("Prefix is %q: leave the braces out: with them, a Redis Cluster would keep all sessions in one slot", c.Prefix)
	case len(c.NodeName) > maxNodeName || !utf8.ValidString(c.NodeName) || strings.ContainsFunc(c.NodeName, unicode.IsControl):
		return fmt.Errorf("NodeName is %q: use at most %d bytes of UTF-8 without control characters", c.NodeName, maxNodeName)
	case c.Undecodable < KeepValue || c.Undecodable > FailRequest:
		return fmt.Errorf("Undecodable is %d: use KeepValue, DropValue, DropSession or FailRequest", c.Undecodable)
	case c.RefuseUserSessions && c.MaxUserSessions <= 0:
		return errors.New("RefuseUserSessions is set and MaxUserSessions is not: there is nothing to refuse; set both")
	}
	return nil
}

// validateKeys checks the lists, the propagator and the codec.
func (c *Config) validateKeys() error {
	for i, p := range c.TrustedProxies {
		if !p.IsValid() {
			return fmt.Errorf("TrustedProxies[%d] is not a network: make it with netip.ParsePrefix", i)
		}
	}
	for i, key := range c.TokenKeys {
		if len(key) < 32 {
			return fmt.Errorf("TokenKeys[%d] has %d bytes: give each at least 32, from crypto/rand", i, len(key))
		}
	}
	for i, key := range c.EncryptionKeys {
		if len(key) < 32 {
			return fmt.Errorf("EncryptionKeys[%d] has %d bytes: give each at least 32, from crypto/rand", i, len(key))
		}
	}
	if isPointer(c.Propagator) {
		return fmt.Errorf("Propagator is a nil %T: leave it out for the default", c.Propagator)
	}
	switch c.Codec.(type) {
	case *JSON, *Gob, *CBOR: // plainCodec leaves only nil ones
		return fmt.Errorf("Codec is a nil %T: leave it out for the default", c.Codec)
	}
	if p, ok := c.Propagator.(checker); ok {
		if err := p.check(); err != nil {
			return fmt.Errorf("Propagator: %w", err)
		}
	}
	return nil
}
