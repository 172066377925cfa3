package invalidate

import (
	"errors"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// Kind is the kind of a message. It is the first byte of the payload.
type Kind byte

// The kinds of this release.
const (
	KindInvalidation Kind = keys.InvalidationMessage // a version of ID was committed or removed elsewhere
	KindGrant        Kind = keys.GrantMessage        // the lock is now held by Token
	KindRecall       Kind = keys.RecallMessage       // another node waits for the lock that Token holds
	KindProbe        Kind = keys.ProbeMessage        // one of a feed's own probes
)

// Limits on what a message carries, in bytes.
const (
	MaxIDLen    = 128
	MaxTokenLen = 256

	maxInstanceLen = 64
	maxMasters     = 1 << 14 // a cluster has no more slots than that
)

// ErrMalformed is returned by [Parse] for a message of a known kind that does
// not follow its form, and for an empty one.
var ErrMalformed = errors.New("invalidate: malformed message")

// ErrUnknownKind is returned by [Parse] for a message that this release does not know. A newer
// release may send such messages; receivers ignore them.
var ErrUnknownKind = errors.New("invalidate: unknown kind of message")

// Message is a parsed payload. Only the fields of its kind are set.
type Message struct {
	Kind Kind

	// ID and Counter are those of an invalidation: the session, and the version that was committed.
	ID      string
	Counter uint64

	// Token is the lock token of a grant or a recall.
	Token string

	// Instance, Round and Master are those of a probe: the feed that sent it, and the master through which it was sent,
	// counted from 0.
	Instance string
	Round    uint64
	Master   int
}

// Parse reads a payload. These are the forms, without any quotes, and with
// exactly one space (0x20) where one is shown:
//
//	i<id> <counter>                    an invalidation
//	g<token>                           a grant
//	r<token>                           a recall
//	p<instance> <round>.<master>       a probe
//
// An id has 1 to [MaxIDLen] bytes and a token 1 to [MaxTokenLen], each byte a
// visible ASCII character (0x21 to 0x7e). Numbers are decimal without sign and
// without leading zeros; a counter is below 2^64. A Lua script must format a
// counter with string.format('%.0f', n), since Lua's default turns large numbers
// into "1e+15".
//
// The error is [ErrMalformed] or [ErrUnknownKind]. The message returned with
// an error has its Kind set if the payload has a first byte, and nothing else.
func Parse(payload string) (Message, error) {
	if payload == "" {
		return Message{}, ErrMalformed
	}
	m, body := Message{Kind: Kind(payload[0])}, payload[1:]
	malformed := m
	ok := false
	switch m.Kind {
	case KindInvalidation:
		id, counter, _ := strings.Cut(body, " ")
		if m.Counter, ok = decimal(counter); ok {
			m.ID, ok = id, visible(id, MaxIDLen)
		}
	case KindGrant, KindRecall:
		m.Token, ok = body, visible(body, MaxTokenLen)
	case KindProbe:
		instance, place, _ := strings.Cut(body, " ")
		round, master, _ := strings.Cut(place, ".")
		if m.Round, ok = decimal(round); ok {
			var n uint64
			n, ok = decimal(master)
			ok = ok && n < maxMasters && visible(instance, maxInstanceLen)
			m.Instance, m.Master = instance, int(n%maxMasters)
		}
	default:
		return m, ErrUnknownKind
	}
	if !ok {
		return malformed, ErrMalformed
	}
	return m, nil
}

// EncodeInvalidation returns the payload that announces a new version of id. It does not check its
// arguments; [Parse] does.
func EncodeInvalidation(id string, counter uint64) string {
	return string(KindInvalidation) + id + " " + strconv.FormatUint(counter, 10)
}

// EncodeGrant returns the payload that hands a lock to token. It does not
// check its argument; [Parse] does.
func EncodeGrant(token string) string {
	return string(KindGrant) + token
}

// EncodeRecall returns the payload that asks the holder of a lock to give it
// back. It does not check its argument; [Parse] does.
func EncodeRecall(token string) string {
	return string(KindRecall) + token
}

// EncodeProbe returns the payload of a probe. It does not check its arguments;
// [Parse] does.
func EncodeProbe(instance string, round uint64, master int) string {
	return string(KindProbe) + instance + " " + strconv.FormatUint(round, 10) + "." + strconv.Itoa(master)
}

// visible reports whether s has 1 to limit bytes, all of them visible ASCII.
func visible(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// decimal reads the one accepted spelling of a number.
func decimal(s string) (uint64, bool) {
	if s == "" || (s[0] == '0' && s != "0") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
