// Package invalidate is the invalidation channel of a node, called its feed. The feed receives over
// Redis pub/sub what other nodes have changed, and knows up to which moment it has missed nothing.
// A node is one process, or one of several managers in a process.
//
// Pub/sub promises nothing. A connection may be dead without an error, a demoted master may have no
// publishers left, and a link inside a cluster may drop messages while the subscriber's own
// connection is healthy. So the feed does not trust its connection. It tests it. Every
// [Config].ProbeInterval it publishes a numbered probe, its heartbeat, to its own channel. The
// probe takes the same path as all other messages, in a cluster through every master. Redis
// delivers the messages of one channel in order. So when a probe returns, the feed has received
// everything that was published before the probe was sent. [Feed.FreshAsOf] returns that moment.
//
// A subscription begins on a new connection, and ends at the first sign of trouble: an error, a
// connection that the client replaced without notice, no returned probe for [Config].Timeout, or a
// cluster with other masters than before, whose links are not yet proven. Then no local copy may be
// used: FreshAsOf returns zero, and the feed calls OnForget and subscribes again after a growing
// pause. Once the new subscription is confirmed, the feed calls OnForget again, for what was read
// in between, and then OnRecover, since grants may have been missed.
//
// The messages are short strings, described at [Parse]. Lua scripts of other packages publish them. This package does not
// know what an ID or a token means.
package invalidate
