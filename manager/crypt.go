package manager

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// vault encrypts with AES-256-GCM: the first key encrypts, all decrypt. What it seals is bound to a context, so that
// it is worthless anywhere else. The nonce is random; with one key some 2^32 values may be sealed before two of them
// are likely to share one (NIST SP 800-38D, 8.3), which is one more reason to rotate keys.
type vault struct{ aeads []keyed }

// keyed is a key with a short name that is stored in front of what it has sealed.
type keyed struct {
	cipher.AEAD
	name [4]byte
}

// The first byte tells what a vault has sealed from what a Codec has written. A Codec may write what it likes: where
// that begins with one of the marks, plainMark goes in front of it.
const (
	sealedMark = 0x03
	plainMark  = 0x04
)

var errSealed = errors.New("encrypted with no key of Config.EncryptionKeys, changed, or moved from elsewhere")

// newVault derives from each key one for the purpose, so that keys may serve several. Without keys it returns nil.
func newVault(keys [][]byte, purpose string) (*vault, error) {
	if len(keys) == 0 {
		return nil, nil //nolint:nilnil // no keys, no vault
	}
	v := &vault{}
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
		v.aeads = append(v.aeads, keyed{aead, [4]byte(sum[:4])})
	}
	return v, nil
}

// seal encrypts a text for a context.
func (v *vault) seal(text, context string) string {
	k := v.aeads[0]
	out := make([]byte, 0, 1+len(k.name)+len(text)+k.Overhead())
	out = append(append(out, sealedMark), k.name[:]...)
	return string(k.Seal(out, nil, []byte(text), []byte(context))) //nolint:gosec // it draws the nonce itself
}

// open decrypts what seal has made for the same context.
func (v *vault) open(sealed, context string) (string, error) {
	const head = 1 + 4
	if len(sealed) < head || sealed[0] != sealedMark {
		return "", errSealed
	}
	for _, k := range v.aeads {
		if string(k.name[:]) != sealed[1:head] {
			continue
		}
		if text, err := k.Open(nil, nil, []byte(sealed[head:]), []byte(context)); err == nil {
			return string(text), nil
		}
	}
	return "", errSealed
}

// sealValue encrypts a session's value, if values are encrypted. It is bound to its session and key.
func (m *Manager) sealValue(id, key, data string) string {
	if m.vault == nil {
		if data != "" && (data[0] == sealedMark || data[0] == plainMark) {
			return string(rune(plainMark)) + data
		}
		return data
	}
	return m.vault.seal(data, id+"\x00"+key)
}

// openValue decrypts a value from Redis.
func (m *Manager) openValue(id, key, data string) (string, error) {
	if m.vault == nil {
		switch {
		case data == "":
		case data[0] == sealedMark:
			return "", errSealed
		case data[0] == plainMark:
			return data[1:], nil
		}
		return data, nil
	}
	return m.vault.open(data, id+"\x00"+key)
}
