// Package keys builds every Redis key and channel that Holdfast uses, and the identifiers they are made of. No
// other package knows what a key looks like.
//
//	key or channel             type        lifetime
//	PREFIX:{ID}                hash        the record: the session's idle timeout or absolute deadline
//	PREFIX:{ID}:lock           string      the lock token of the holder: the lock's TTL, or the grant's
//	PREFIX:{ID}:queue          list        lock tokens that wait, oldest first: the longest wait plus the lock's TTL
//	PREFIX:user:HASH           sorted set  IDs of a user's sessions by entry: the longest life of one
//	PREFIX:node:NODE           hash        how a node describes itself, for operators: see package roster
//	PREFIX:node:NODE           channel     grants, recalls, invalidations and probes for one node
//	PREFIX:nodes               channel     invalidations for all nodes, when too many of them hold a copy
//
// The first three carry the hash tag {ID}, so that one script may touch them all in a Redis Cluster.
package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// DefaultPrefix is the prefix of every key when none is configured.
const DefaultPrefix = "holdfast"

// Space is the set of keys under one prefix.
type Space struct{ prefix, nodePrefix, nodes string }

// In returns the keys under the prefix; an empty one means DefaultPrefix.
func In(prefix string) Space {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	prefix = strings.Clone(prefix) // it outlives the call
	return Space{prefix: prefix, nodePrefix: prefix + ":node:", nodes: prefix + ":nodes"}
}

// braces escapes the braces of an ID, so that they do not end the hash tag.
var braces = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

var unbraces = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")

// noID stands for the empty ID in a key. No other ID is written like that.
const noID = "%"

// Keys are the three keys of one ID. They live in one cluster slot.
type Keys struct{ Record, Lock, Queue string }

// Of returns the keys of an ID, which may be any string. No session has the empty ID, but callers may pass it. It is
// replaced, since Redis ignores an empty hash tag and the three keys would be in different slots.
func (s Space) Of(id string) Keys {
	switch {
	case id == "":
		id = noID
	case strings.ContainsAny(id, "%{}"):
		id = braces.Replace(id)
	}
	both := s.prefix + ":{" + id + "}:lock" + s.prefix + ":{" + id + "}:queue" // one allocation instead of two
	n := len(s.prefix) + len(":{") + len(id) + len("}")
	return Keys{Record: both[:n], Lock: both[:n+len(":lock")], Queue: both[n+len(":lock"):]}
}

// RecordPattern matches the keys of all records for SCAN; see RecordID.
func (s Space) RecordPattern() string { return s.literal() + ":{*}" }

// literal is the prefix in a pattern.
func (s Space) literal() string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(s.prefix)
}

// RecordID returns the ID in a record's key, and false for any other key.
func (s Space) RecordID(key string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(key, s.prefix+":{")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "}")
}

// LockPattern matches the keys of all locks and queues for SCAN; see LockID.
func (s Space) LockPattern() string { return s.RecordPattern() + ":*" }

// LockID returns the ID in the key of a lock or of its queue, and false for any other key.
func (s Space) LockID(key string) (id string, ok bool) {
	record, ok := strings.CutSuffix(key, ":lock")
	if !ok {
		record, ok = strings.CutSuffix(key, ":queue")
	}
	if !ok {
		return "", false
	}
	if id, ok = s.RecordID(record); id == noID {
		return "", ok
	}
	return unbraces.Replace(id), ok
}

// User is the sorted set of a user's sessions. The user's name is hashed, since it is often an e-mail address and key
// names appear in logs and dashboards.
func (s Space) User(user string) string {
	sum := sha256.Sum256([]byte(user))
	return s.prefix + ":user:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// NodePrefix is the name of a node's channel without its ID, for scripts.
func (s Space) NodePrefix() string { return s.nodePrefix }

// Node is the channel of one node.
func (s Space) Node(node string) string { return s.NodePrefix() + node }

// NodePattern matches the channels of all nodes for PSUBSCRIBE, but not that of Nodes; see NodeOf.
func (s Space) NodePattern() string { return s.literal() + ":node:*" }

// NodeOf returns the node of a channel, and false for any other channel.
func (s Space) NodeOf(channel string) (node string, ok bool) {
	return strings.CutPrefix(channel, s.NodePrefix())
}

// Nodes is the channel that every node listens to.
func (s Space) Nodes() string { return s.nodes }
