package manager

import "net/http"

// Mode is how a request opens its session.
type Mode int

// The modes, from the weakest to the strongest.
const (
	// ReadOnly takes no lock and refuses changes. It reads the local copy while that is fresh: data
	// is then at most Config.MaxStaleness old, and there is no round trip. Otherwise it reads from
	// Redis, in one round trip. Use it for polls, assets and most GETs.
	ReadOnly Mode = iota + 1

	// Optimistic takes no lock. Its commit fails with ErrConflict if another request has changed a
	// key that this one has read or written, so requests that work on different keys run side by
	// side. One round trip to open, and one to commit a change. Use it for pages that call the
	// server many times in parallel.
	Optimistic

	// Lazy is Exclusive from the first use of the session on. A request that does not use the
	// session costs no round trip. Use it for handlers that often don't need the session.
	Lazy

	// Exclusive takes the session's lock before the handler runs, first come first served, and sees
	// the newest data. One round trip to open, and one to commit a change. The open costs a second
	// one if another replica holds the lock or has changed the session a moment ago, and none with
	// a retained lease: see Config.Retain. Use it for anything.
	Exclusive
)

// String returns the mode as a word that fits a metric's label.
func (m Mode) String() string {
	switch m {
	case ReadOnly:
		return "readonly"
	case Optimistic:
		return "optimistic"
	case Lazy:
		return "lazy"
	}
	return "exclusive"
}

// rank orders the modes by what they need of Redis. Lazy differs from Exclusive only in when it opens.
func (m Mode) rank() int {
	switch m {
	case ReadOnly:
		return 1
	case Optimistic:
		return 2
	}
	return 3
}

// ByMethod is a function for Config.Mode. Requests that HTTP defines as safe (GET, HEAD, OPTIONS)
// are Optimistic: they cost one round trip, see the newest data and do not wait for the lock. They
// may still write, to pop a flash message for instance; the commit fails with ErrConflict if
// another request has changed the same key. All other requests are Exclusive.
func ByMethod(r *http.Request) Mode {
	if safe(r.Method) {
		return Optimistic
	}
	return Exclusive
}

// mode is that of a wrap, or Config.Mode's for mode 0.
func (m *Manager) mode(mode Mode, r *http.Request) Mode {
	if mode == 0 && m.cfg.Mode != nil {
		mode = m.cfg.Mode(r)
	}
	if mode < ReadOnly || mode > Exclusive {
		return Exclusive
	}
	return mode
}

// safe reports whether a method promises not to change anything (RFC 9110, section 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, "": // "" is GET to net/http
		return true
	}
	return false
}
