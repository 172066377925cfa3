package manager

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// A token is what the client holds: ID.SECRET, or ID.SECRET.MAC with Config.TokenKeys. The ID names the session and
// grants nothing. Of the secret Redis holds a hash.
const (
	idBits, idLen         = 128, keys.IDLen
	secretBits, secretLen = 256, 43
	macLen                = 43
)

var b64 = base64.RawURLEncoding.Strict()

// token is one that has the right form and, with Config.TokenKeys, a valid signature.
type token struct {
	id   string
	hash string // of the secret
	text string // as the client holds it
}

// tokens makes tokens and reads those that clients send.
type tokens struct {
	signers []*signer // the first signs, all verify; without any, tokens are not signed
}

func newTokens(keys [][]byte) tokens {
	var t tokens
	for _, key := range keys {
		t.signers = append(t.signers, newSigner(key))
	}
	return t
}

// newID returns the ID of a new session.
func newID() string { return keys.Random(idBits) }

// issue makes a token with a new secret for a session.
func (t *tokens) issue(id string) token {
	secret := keys.Random(secretBits)
	text := id + "." + secret
	if len(t.signers) > 0 {
		text += "." + t.signers[0].sign(text)
	}
	return token{id: id, hash: hashOf(secret), text: text}
}

// parse reads a token that a client sent. A malformed one costs a few comparisons, and no call to Redis.
func (t *tokens) parse(text string) (token, bool) {
	const plainLen = idLen + 1 + secretLen
	length := plainLen
	if len(t.signers) > 0 {
		length += 1 + macLen
	}
	if len(text) != length || text[idLen] != '.' {
		return token{}, false
	}
	id, secret := text[:idLen], text[idLen+1:plainLen]
	if !keys.IsBase64(id) || !keys.IsBase64(secret) {
		return token{}, false
	}
	if len(t.signers) > 0 && (text[plainLen] != '.' || !t.verify(text[:plainLen], text[plainLen+1:])) {
		return token{}, false
	}
	// The ID becomes the name of a local copy, which outlives the request. A copy of its bytes keeps neither the secret nor the
	// whole Cookie header in memory, which the cache does not count, and is not in a buffer that the server reuses.
	return token{id: strings.Clone(id), hash: hashOf(secret), text: text}, true
}

// verify tries every key, so that keys can be rotated.
func (t *tokens) verify(plain, mac string) bool {
	var given [sha256.Size + 1]byte
	n, err := b64.Decode(given[:], []byte(mac))
	if err != nil || n != sha256.Size {
		return false
	}
	for _, s := range t.signers {
		if s.matches(plain, given[:n]) {
			return true
		}
	}
	return false
}

// signer makes MACs with one key. It reuses states, since setting one up costs more than using it.
type signer struct{ states sync.Pool }

// macState is an HMAC and its buffer.
type macState struct {
	mac hash.Hash
	buf []byte
}

func newSigner(key []byte) *signer {
	key = slices.Clone(key)
	return &signer{states: sync.Pool{New: func() any {
		return &macState{mac: hmac.New(sha256.New, key), buf: make([]byte, 0, 128)}
	}}}
}

// sum computes the MAC of a text into the state's buffer.
func (s *signer) sum(st *macState, text string) []byte {
	st.mac.Reset()
	st.buf = append(append(st.buf[:0], "holdfast token\x00"...), text...)
	st.mac.Write(st.buf)
	st.buf = st.mac.Sum(st.buf[:0])
	return st.buf
}

func (s *signer) sign(text string) string {
	st := s.states.Get().(*macState) //nolint:forcetypeassert // the pool holds nothing else
	defer s.states.Put(st)
	return b64.EncodeToString(s.sum(st, text))
}

func (s *signer) matches(text string, mac []byte) bool {
	st := s.states.Get().(*macState) //nolint:forcetypeassert // the pool holds nothing else
	defer s.states.Put(st)
	return hmac.Equal(s.sum(st, text), mac)
}

// hashOf returns the hash of a secret, which Redis holds.
func hashOf(secret string) string {
	var bytes [secretLen]byte // has room for each secret that issue makes
	sum := sha256.Sum256(append(bytes[:0], secret...))
	var text [43]byte
	return string(b64.AppendEncode(text[:0], sum[:]))
}

// sameHash compares in constant time.
func sameHash(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
