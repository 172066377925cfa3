// Package lock is a fair distributed lock on Redis: whoever asked first gets it first, across all processes.
//
//	locker, err := lock.New(client, nil)
//	…
//	lease, err := locker.Acquire(ctx, "invoice 42")
//	if err != nil {
//		return err
//	}
//	defer lease.Release(ctx)
//	work(lease.Context())
//
// # How it waits
//
// A request for a lock that is taken does not poll. Within a process the requests for one key form a queue, and
// only its head talks to Redis. There the heads of all processes form a second queue, a list of lock tokens. The
// script that releases the lock makes the first of that list its holder and tells it so over pub/sub, on a channel
// of its process. A message that gets lost costs time and nothing else: a waiter asks again when the lock of the
// holder it knows of must have expired.
//
// When a holder releases and somebody in its own process is next, the lock token goes to them in memory; their
// first question to Redis, which they ask anyway, finds out whether another process is waiting, and gives way.
//
// # What a lease is worth
//
// The lock in Redis is a lock of [github.com/bsm/redislock]: a key with a TTL, whose value is the holder's token. A program
// that takes the key with redislock and one that takes it with a Locker exclude each other. One goroutine of the Locker
// renews all leases, in one pipeline per tick. A lease is trusted from the moment before the request for it was sent, by the
// monotonic clock, for its TTL less a margin; then its context ends with [ErrLost] as the cause. No lock service can
// do more: a process that is paused at the wrong moment goes on believing that it holds the lock. Where that matters
// the guarded resource has to check as well, as package store does with a version in each commit. See Martin
// Kleppmann, "How to do distributed locking" (2016).
package lock
