// Package invalidate is the invalidation channel of a node, called its feed: the feed receives over Redis pub/sub what other
// nodes changed, and knows up to which moment it has missed nothing.
//
// Pub/sub promises nothing. A connection may be dead without an error, a demoted master may have no publishers left, and a
// link inside a cluster may drop messages while the subscriber's own connection is healthy. So the feed does not trust its
// connection, but tests it. Every [Config].ProbeInterval it publishes a numbered probe to its own channel, on the same way as
// all other messages, and in a cluster through every master. Redis delivers the messages of one channel in order. So when a
// probe returns, the feed has received everything that was published before the probe was sent. [Feed.FreshAsOf] returns
// that moment.
//
// A feed goes through lives. A life begins with a subscription on a new connection, and ends at the first sign of trouble: an
// error, a connection that the client replaced without notice, no returned probe for [Config].Timeout, or a cluster with
// other masters than before, whose links are not yet proven. Then no local copy may be used: FreshAsOf returns zero, the feed
// calls OnForget, and tries a new life after a growing pause. Once the new subscription is confirmed, the feed calls OnForget
// again, for what was learned in between, and then OnRecover, because grants may have been missed.
//
// The messages are short strings, described at [Parse]. Lua scripts of other packages publish them. This package does not
// know what an ID or a token means.
package invalidate
