package manager

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// A token is what the client holds: ID.SECRET, or ID.SECRET.MAC with Config.TokenKeys. The ID names the session and
// grants nothing. Of the secret Redis holds a hash.
const (
	idBits, idLen         = 128, 22
	secretBits, secretLen = 256, 43
	macLen                = 43
)

var b64 = base64.RawURLEncoding

// token is one that has the right form and, where that is asked for, a good signature.
type token struct {
	id   string
	hash string // of the secret
	text string // as the client holds it
}

// tokens makes tokens and reads those that clients send.
type tokens struct {
	keys [][]byte // the first signs, all verify; none: tokens are not signed
}

// newID returns the ID of a new session.
func newID() string { return keys.Random(idBits) }

// issue makes a token with a new secret for a session.
func (t *tokens) issue(id string) token {
	secret := keys.Random(secretBits)
	text := id + "." + secret
	if len(t.keys) > 0 {
		text += "." + sign(t.keys[0], text)
	}
	return token{id: id, hash: hashOf(secret), text: text}
}

// parse reads a token that came from outside. A wrong one costs a few comparisons, and no question to Redis.
func (t *tokens) parse(text string) (token, bool) {
	const plainLen = idLen + 1 + secretLen
	length := plainLen
	if len(t.keys) > 0 {
		length += 1 + macLen
	}
	if len(text) != length || text[idLen] != '.' {
		return token{}, false
	}
	id, secret := text[:idLen], text[idLen+1:plainLen]
	if !isBase64(id) || !isBase64(secret) {
		return token{}, false
	}
	if len(t.keys) > 0 && (text[plainLen] != '.' || !t.verify(text[:plainLen], text[plainLen+1:])) {
		return token{}, false
	}
	return token{id: id, hash: hashOf(secret), text: text}, true
}

// verify tries every key, so that keys can be rotated.
func (t *tokens) verify(plain, mac string) bool {
	good := 0
	for _, key := range t.keys {
		good |= subtle.ConstantTimeCompare([]byte(sign(key, plain)), []byte(mac))
	}
	return good == 1
}

func sign(key []byte, plain string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("holdfast token\x00"))
	mac.Write([]byte(plain))
	return b64.EncodeToString(mac.Sum(nil))
}

// hashOf is what Redis knows of a secret.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return b64.EncodeToString(sum[:])
}

// sameHash compares in constant time.
func sameHash(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func isBase64(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
