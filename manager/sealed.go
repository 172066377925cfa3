package manager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Sealed is a small value in a separate cookie on the client, encrypted and signed with
// Config.EncryptionKeys, with an expiry that the server checks. It needs no session and no Redis.
// The client can keep it, delete it or send an older one again, but cannot read or change it.
// Managers with another Config.Prefix do not accept it, even with the same keys.
//
//	var Theme = manager.Sealed[string]("theme")
//
// Its methods are safe for concurrent use.
type Sealed[T any] string

// maxCookie is the size that browsers accept of one cookie, in bytes, with its name and attributes (RFC 6265bis, section
// 5.6).
const maxCookie = 4096

var errNoKeys = errors.New("Config.EncryptionKeys is empty: set a key of at least 32 bytes")

// Set sends the value to the client, for at most d. Zero means until the browser is closed; the
// server then accepts the value for 400 days. A negative d deletes the value. Call it before the
// first byte of the response. It returns ErrTooLarge if the cookie would exceed 4,096 bytes,
// ErrEncode if the value cannot be encoded, and another error if k is not a valid name of a cookie
// or is the name of the session's own.
func (k Sealed[T]) Set(m *Manager, w http.ResponseWriter, v T, d time.Duration) error {
	if m.cookies == nil {
		return fmt.Errorf("seal cookie: %w", errNoKeys)
	}
	c := k.cookie(m)
	if err := c.check(); err != nil {
		return fmt.Errorf("seal cookie: %w", err)
	}
	if k.takesSessions(m) {
		return fmt.Errorf("seal cookie: %q is the name of the session's own cookie, and one of them would replace the other; choose another name", c.name())
	}
	if d < 0 {
		c.Remove(w)
		return nil
	}
	data, err := encode(m, &v)
	if err != nil {
		return fmt.Errorf("seal cookie: %w", err)
	}
	ends := time.Now().Add(maxCookieAge) // for the server
	var expires time.Time                // for the client
	if d > 0 {
		ends = time.Now().Add(min(d, maxCookieAge))
		expires = ends
	}
	text := binary.BigEndian.AppendUint64(nil, uint64(ends.UnixMilli()))
	ck := c.lasting(b64.EncodeToString([]byte(m.cookies.seal(string(append(text, data...)), m.cfg.Prefix, c.name()))), expires)
	if n := len(ck.String()); n > maxCookie {
		return fmt.Errorf("seal cookie: %w: %d bytes, and browsers accept %d", ErrTooLarge, n, maxCookie)
	}
	c.set(w, ck)
	return nil
}

// Get returns the value that the client sent. It returns false if there is none, or if it has
// expired, was changed, or was sealed with a key that is no longer configured.
func (k Sealed[T]) Get(m *Manager, r *http.Request) (v T, ok bool) {
	c := k.cookie(m)
	text, ok := c.Extract(r)
	if !ok || m.cookies == nil || len(text) > maxCookie {
		return v, false
	}
	sealed, err := b64.DecodeString(text)
	if err != nil {
		return v, false
	}
	plain, err := m.cookies.open(string(sealed), m.cfg.Prefix, c.name())
	if err != nil || len(plain) < 8 {
		return v, false
	}
	ends := time.UnixMilli(int64(binary.BigEndian.Uint64([]byte(plain[:8]))))
	if !time.Now().Before(ends) {
		return v, false
	}
	if err := m.decode(plain[8:], &v); err != nil {
		var zero T
		return zero, false
	}
	return v, true
}

// Delete tells the client to forget the value.
func (k Sealed[T]) Delete(m *Manager, w http.ResponseWriter) {
	if !k.takesSessions(m) { // else it would log the client out
		k.cookie(m).Remove(w)
	}
}

// takesSessions reports whether the session's own cookie has the same name.
func (k Sealed[T]) takesSessions(m *Manager) bool {
	own, ok := cookieOf(m.cfg.Propagator)
	return ok && own.name() == k.cookie(m).name()
}

// cookie has the safest attributes that the Manager's own cookie allows: over plain HTTP browsers drop a Secure one.
func (k Sealed[T]) cookie(m *Manager) Cookie {
	if own, _ := cookieOf(m.cfg.Propagator); m.cfg.Insecure || own.Insecure {
		return Cookie{Name: string(k), Insecure: true}
	}
	return Cookie{Name: "__Host-" + string(k)}
}
