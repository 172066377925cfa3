package manager

import (
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// opened is what Redis said of a session. It never changes: a request that needs more opens the session again and gets
// another one.
type opened struct {
	rec         *store.Record // nil if there is none
	mode        Mode          // in which it was opened
	clock       clock
	superseded  bool  // the token is one that Rotate has replaced
	unavailable error // why Redis could not be asked, if the session is empty by Config.OnUnavailable
	confirmed   bool  // Redis has seen that the client has the secret of rec
	sole        bool  // no other node has a registered copy
	registered  bool  // this one has
	streak      int   // how many requests of the session in a row this node has served
}

// clock tells the Redis server's time from a moment at which it was known.
type clock struct{ server, local time.Time }

func (c clock) now() time.Time { return c.at(time.Now()) }

// at is now at a time by this process's clock.
func (c clock) at(local time.Time) time.Time {
	if c.server.IsZero() {
		return local
	}
	return c.server.Add(local.Sub(c.local))
}
