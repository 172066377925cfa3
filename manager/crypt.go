package manager

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/holdfast-go/holdfast/internal/mark"
)

// sealer encrypts with AES-256-GCM: the first key encrypts, all decrypt. A sealed text is bound to its place, and can be
// opened nowhere else. The nonce is random, so one key may seal some 2^32 values (NIST SP 800-38D, 8.3): another reason to
// rotate keys.
type sealer struct{ aeads []keyed }

// keyed is a key with a short name that is stored in front of what it has sealed.
type keyed struct {
	cipher.AEAD
	name [4]byte
}

// The first byte distinguishes a sealed value from the bytes of a Codec. If those begin with one of the marks, plainMark
// goes in front of them.
const (
	sealedMark = mark.Sealed
	plainMark  = mark.Plain
)

var errSealed = errors.New("encrypted with no key of Config.EncryptionKeys, changed, or moved from elsewhere")

// newSealer derives from each key one for the purpose, so that one key may serve several purposes. Without keys it returns
// nil.
func newSealer(keys [][]byte, purpose string) (*sealer, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // no keys, no sealer
	}
	s := &sealer{}
	for i, key := range keys {
		derived, err := hkdf.Key(sha256.New, key, nil, "holdfast "+purpose, 32)
		if err != nil {
			return nil, fmt.Errorf("EncryptionKeys[%d]: %w", i, err)
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return nil, fmt.Errorf("EncryptionKeys[%d]: %w", i, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("EncryptionKeys[%d]: %w", i, err)
		}
		sum := sha256.Sum256(derived)
		s.aeads = append(s.aeads, keyed{aead, [4]byte(sum[:4])})
	}
	return s, nil
}

// seal encrypts a text for one place: a name, and the session or prefix in which it counts.
func (s *sealer) seal(text, where, name string) string {
	k := s.aeads[0]
	out := make([]byte, 0, 1+len(k.name)+len(text)+k.Overhead())
	out = append(append(out, sealedMark), k.name[:]...)
	data := additionalData(where, name)
	out = k.Seal(out, nil, bytesOf(text), *data) //nolint:gosec // the AEAD draws its nonces itself
	additionalDataPool.Put(data)
	return stringOf(out)
}

// open decrypts what seal has made for the same place.
func (s *sealer) open(sealed, where, name string) (string, error) {
	const head = 1 + 4
	if len(sealed) < head || sealed[0] != sealedMark {
		return "", errSealed
	}
	data := additionalData(where, name)
	defer additionalDataPool.Put(data)
	for i := range s.aeads {
		k := &s.aeads[i]
		if string(k.name[:]) != sealed[1:head] {
			continue
		}
		if text, err := k.Open(nil, nil, bytesOf(sealed[head:]), *data); err == nil {
			return stringOf(text), nil
		}
	}
	return "", errSealed
}

// additionalDataPool holds buffers for additionalData, which every read of an encrypted value needs.
var additionalDataPool = sync.Pool{New: func() any { return new([]byte) }}

// additionalData returns the place of a text as bytes that are authenticated with it and not stored.
func additionalData(where, name string) *[]byte {
	data := additionalDataPool.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else
	*data = append(append(append((*data)[:0], where...), 0), name...)
	return data
}

// bytesOf and stringOf make no copy: the bytes of a string are only read, and nothing writes to bytes that became a string.
func bytesOf(s string) []byte  { return unsafe.Slice(unsafe.StringData(s), len(s)) } //nolint:gosec // see above
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } //nolint:gosec // see above

// sealValue encrypts a session's value, if there are EncryptionKeys, and binds it to its session and key.
func (c *policy) sealValue(id, key, data string) string {
	if c.values == nil {
		if data != "" && (data[0] == sealedMark || data[0] == plainMark) {
			return string(rune(plainMark)) + data
		}
		return data
	}
	return c.values.seal(data, id, key)
}

// openValue decrypts a value from Redis.
func (c *policy) openValue(id, key, data string) (string, error) {
	if c.values == nil {
		switch {
		case data == "":
		case data[0] == sealedMark:
			return "", errSealed
		case data[0] == plainMark:
			return data[1:], nil
		}
		return data, nil
	}
	return c.values.open(data, id, key)
}
