// Package keys builds every Redis key and channel that Holdfast uses, and the identifiers they are made of. No
// other file knows what a key looks like.
//
//	key or channel             type        lifetime
//	PREFIX:{ID}                hash        the record: the session's idle timeout or absolute deadline
//	PREFIX:{ID}:lock           string      the lock token of the holder: the lock's TTL, or the grant's
//	PREFIX:{ID}:queue          list        lock tokens that wait, oldest first: the longest wait plus the lock's TTL
//	PREFIX:user:HASH           sorted set  IDs of a user's sessions by entry: the longest life of one
//	PREFIX:node:NODE           channel     grants, invalidations and probes for one node
//	PREFIX:nodes               channel     invalidations for all nodes, when too many of them hold a copy
//
// The first three carry the hash tag {ID}, so that one script may touch them all in a Redis Cluster.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// DefaultPrefix is the prefix of every key when none is configured.
const DefaultPrefix = "holdfast"

// NodeLen is the length of a node ID: 64 bits in base64url.
const NodeLen = 11

// IDLen is the length of a session ID: 128 bits in base64url.
const IDLen = 22

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

// braces keeps the names of a caller from ending the hash tag early.
var braces = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

var unbraces = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")

// noID stands for the empty ID in a key. No other ID is written so.
const noID = "%"

// Keys are the three keys of one ID. They live in one cluster slot.
type Keys struct{ Record, Lock, Queue string }

// Of returns the keys of an ID, which may be any string. No session has the empty one, but callers may ask for it, and
// an empty hash tag is none: the three keys would lie in several slots.
func (s Space) Of(id string) Keys {
	switch {
	case id == "":
		id = noID
	case strings.ContainsAny(id, "%{}"):
		id = braces.Replace(id)
	}
	lock := s.prefix + ":{" + id + "}:lock"
	record := lock[:len(lock)-len(":lock")]
	return Keys{Record: record, Lock: lock, Queue: record + ":queue"}
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

// User is the sorted set of a user's sessions. The user's name is hashed: names are often e-mail addresses, and
// key names travel into logs and dashboards.
func (s Space) User(user string) string {
	sum := sha256.Sum256([]byte(user))
	return s.prefix + ":user:" + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// NodePrefix is what a node ID is appended to for the name of its channel. Scripts use it.
func (s Space) NodePrefix() string { return s.nodePrefix }

// Node is the channel of one node.
func (s Space) Node(node string) string { return s.NodePrefix() + node }

// NodePattern matches the channels of all nodes for PSUBSCRIBE, but not that of Nodes; see NodeOf.
func (s Space) NodePattern() string { return s.literal() + ":node:*" }

// NodeOf returns the node whose channel that is, and false for any other channel.
func (s Space) NodeOf(channel string) (node string, ok bool) {
	return strings.CutPrefix(channel, s.NodePrefix())
}

// Nodes is the channel that every node listens to.
func (s Space) Nodes() string { return s.nodes }

// Random returns bits of randomness from the operating system in base64url without padding.
func Random(bits int) string {
	var b [32]byte
	n := bits / 8
	_, _ = rand.Read(b[:n]) // never fails: crypto/rand ends the program instead
	var text [43]byte
	return string(base64.RawURLEncoding.AppendEncode(text[:0], b[:n]))
}

// NewNode returns the ID of a new node.
func NewNode() string { return Random(64) }

// NewLockToken returns a lock token of the node: NODE.RANDOM. It tells whom a grant is for. The first 48 of the 128 bits
// behind the node are the time in Unix ms, for people who ask how long a lock has been wanted: nothing else reads it, since
// the clocks of two nodes may differ.
func NewLockToken(node string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails, see Random
	var text [NodeLen + 1 + 22]byte
	return string(base64.RawURLEncoding.AppendEncode(append(append(text[:0], node...), '.'), b[:]))
}

// ParseLockToken returns the node of a lock token and when it was drawn, by that node's clock: the zero time if the token
// does not tell.
func ParseLockToken(token string) (node string, drawn time.Time) {
	node, rest, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil || len(b) != 16 {
		return node, time.Time{}
	}
	return node, time.UnixMilli(int64(binary.BigEndian.Uint64(b) >> 16))
}

// IsID reports whether a text has the form of a session ID.
func IsID(text string) bool {
	if len(text) != IDLen {
		return false
	}
	for _, c := range []byte(text) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
