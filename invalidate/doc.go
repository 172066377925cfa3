// Package invalidate is a node's feed: it hears over Redis pub/sub what other
// nodes changed, and it knows up to which moment it has heard everything.
//
// Pub/sub promises nothing. A connection may be dead without an error, a
// demoted master may have no publishers left, a link inside a cluster may drop
// messages while the subscriber's own connection is healthy. So the feed does
// not trust its connection; it proves it. Every [Config].ProbeInterval it
// publishes a numbered probe to its own channel, through the write path that
// everybody uses, and in a cluster through every master. Redis delivers the
// messages of one channel in order, so once a probe has come back, everything
// published before the probe was sent has been heard. That moment is
// [Feed.FreshAsOf].
//
// A feed goes through lives. A life begins with a subscription on a connection
// of its own, and is over at the first sign of trouble: an error, a connection
// that the client replaced on the quiet, no proof for [Config].Timeout, or other
// masters in the cluster than before, of whose links nothing was proven. Then
// nothing known locally may be relied on: FreshAsOf turns zero, OnForget is
// called, and a new life is tried, with a growing pause. Once its subscription
// is confirmed OnForget is called again, for what was learnt in between, and
// then OnRecover, for those who wait for a message that nobody heard.
//
// The messages are short strings, described at [Parse]. Others publish them
// from Lua scripts. What an ID or a token means is not known here.
package invalidate
