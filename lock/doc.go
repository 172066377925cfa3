// Package lock provides a fair distributed lock on Redis: requests get the lock in the order in
// which they asked for it, across all processes.
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
// A request for a lock that is taken does not poll. Within a process the requests for one key form
// a local queue, and only its head talks to Redis. The heads of all processes form a second queue
// in Redis, a list of lock tokens. The script that releases the lock makes the first token of that
// list its holder, and notifies its process over pub/sub. If that message is lost, the waiter
// retries when the lock would have expired.
//
// If the next request is in the same process, it gets the lock token in memory. The first call to
// Redis that it makes anyway gives way to another process, if one is waiting.
//
// # What a lease is worth
//
// The lock in Redis is a lock of [github.com/bsm/redislock]: a key with a TTL, whose value is the
// holder's token. A program that takes the key with redislock and one that takes it with a Locker
// exclude each other. One goroutine of the Locker renews all leases, in one pipeline per tick. A
// lease is trusted for its TTL less a margin, by the monotonic clock, from just before the request
// for it was sent. If it is not renewed by then, its context ends with [ErrLost] as the cause. No
// lock service can do more: a process that is paused at the wrong moment still believes that it
// holds the lock. If that matters, the guarded resource has to check as well, as package store does
// with a version in each commit. See Martin Kleppmann, "How to do distributed locking" (2016).
package lock
