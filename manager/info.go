package manager

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// Info describes a session without its values, for a page that shows users where they are logged
// in. All times are by the clock of the Redis server, except that LastSeen in a list is computed
// with the clock of this machine.
type Info struct {
	ID      string
	User    string
	Created time.Time

	// Rotated is the time of the last Rotate or change of the user, or Created if there was none.
	Rotated time.Time

	// LastSeen is the last use that is known. Without an idle timeout it is the last login, rotation or new token.
	LastSeen time.Time

	// Deadline is when the session ends even if it is used. Zero if only the idle timeout ends it.
	Deadline time.Time

	// UserAgent and RemoteAddr are those of the client that began the session. UserAgent is cut to 256 bytes; for RemoteAddr
	// see Config.TrustedProxies.
	UserAgent  string
	RemoteAddr string

	// Version changes with every commit.
	Version string
}

// client is how the metadata of a client is stored.
type client struct {
	UserAgent  string `json:"ua,omitempty"`
	RemoteAddr string `json:"ip,omitempty"`
	Sent       int64  `json:"sent,omitempty"` // when the cookie was last renewed, in Unix seconds
}

// parseClient reads what is stored, and takes what cannot be read for nothing.
func parseClient(text string) (c client) {
	if json.Unmarshal([]byte(text), &c) != nil {
		return client{}
	}
	return c
}

const maxUserAgent = 256

// clientOf describes the client that begins a session.
func (m *Manager) clientOf(r *http.Request) string {
	if r == nil || m.cfg.NoClientInfo {
		return ""
	}
	ua := r.UserAgent()
	c := client{UserAgent: strings.ToValidUTF8(ua[:min(len(ua), maxUserAgent)], ""), RemoteAddr: m.remoteAddr(r)}
	text, err := json.Marshal(c)
	if err != nil || c == (client{}) {
		return ""
	}
	return string(text)
}

// infoOf tells about a record that was last used at a time, or not before its last login if that is not known.
func infoOf(r *store.Record, seen time.Time) Info {
	for _, t := range [...]store.Time{r.Created, r.Rotated, r.Issued} {
		if at := t.Time(); at.After(seen) {
			seen = at
		}
	}
	i := Info{
		ID: r.ID, User: r.User, Created: r.Created.Time(), Rotated: r.Rotated.Time(), LastSeen: seen,
		Deadline: r.Deadline.Time(), Version: r.Version,
	}
	c := parseClient(r.Client)
	i.UserAgent, i.RemoteAddr = c.UserAgent, c.RemoteAddr
	return i
}

// Info returns what is known of the session, as of when it was opened. For a new session that is
// its ID, its user, and the current time as LastSeen.
func (s *Session) Info() Info {
	user, id := s.User(), s.ID()
	s.enter()
	defer s.mu.Unlock()
	now := s.on.clock.now()
	if s.base() == nil {
		return Info{ID: id, User: user, LastSeen: now}
	}
	i := infoOf(s.base(), now)
	i.User = user
	return i
}
