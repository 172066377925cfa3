package cache

import (
	"errors"
	"fmt"
	"math/bits"
)

const (
	defaultMaxBytes = 64 << 20
	defaultShards   = 16
	maxShards       = 1 << 12

	// minShare is the smallest share of one shard by default. No entry larger than
	// a share is stored, so a small cache needs few shards.
	minShare = 1 << 20
)

// Config holds the options for [New]. Size is required.
type Config[V any] struct {
	// MaxBytes limits the sum of the entries' sizes, over all shards, in bytes. Each
	// shard has an equal share and stores no entry larger than that. At least one
	// byte per shard.
	//
	// Defaults to 64 MiB.
	MaxBytes int64

	// Size returns the bytes that an entry costs, overhead included. It is
	// called once per Put, outside any lock, and must always return the same
	// for the same arguments. A result below 1 counts as 1. Required.
	Size func(id string, v V) int

	// Shards is the number of independently locked parts, a power of two from 1 to 4,096.
	//
	// Defaults to 16, or to fewer so that each shard has 1 MiB.
	Shards int
}

// withDefaults returns a copy of c with the zero fields filled in.
func (c Config[V]) withDefaults() Config[V] {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.Shards == 0 {
		c.Shards = defaultShards
		for c.Shards > 1 && c.MaxBytes/int64(c.Shards) < minShare {
			c.Shards /= 2
		}
	}
	return c
}

// validate names the field that is wrong and what it should be.
func (c Config[V]) validate() error {
	if c.Size == nil {
		return errors.New("cache: Config.Size is nil; give a function that returns an entry's bytes")
	}
	if c.Shards < 1 || c.Shards > maxShards || bits.OnesCount(uint(c.Shards)) != 1 {
		return fmt.Errorf("cache: Config.Shards is %d; give a power of two from 1 to %d", c.Shards, maxShards)
	}
	if c.MaxBytes < int64(c.Shards) {
		return fmt.Errorf("cache: Config.MaxBytes is %d; give at least one byte per shard (%d)", c.MaxBytes, c.Shards)
	}
	return nil
}
