package keys

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// NodeLen is the length of a node ID: 64 bits in base64url.
const NodeLen = 11

// IDLen is the length of a session ID: 128 bits in base64url.
const IDLen = 22

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

// NewLockToken returns a lock token of the node: NODE.RANDOM. A grant goes to that node. The first 48 of the 128 bits after
// the node are the time in Unix ms. Operators' tools show it as the time of the request; nothing else reads it, since the
// clocks of nodes may differ.
func NewLockToken(node string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails, see Random
	var text [NodeLen + 1 + 22]byte
	return string(base64.RawURLEncoding.AppendEncode(append(append(text[:0], node...), '.'), b[:]))
}

// ParseLockToken returns the node of a lock token and when it was drawn, by that node's clock, or the zero time if the
// token has another form.
func ParseLockToken(token string) (node string, drawn time.Time) {
	node, rest, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil || len(b) != 16 {
		return node, time.Time{}
	}
	return node, time.UnixMilli(int64(binary.BigEndian.Uint64(b) >> 16))
}

// IsID reports whether a text has the form of a session ID.
func IsID(text string) bool { return len(text) == IDLen && IsBase64(text) }

// IsBase64 reports whether a text has only characters of base64url.
func IsBase64(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
