package console

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/admin"
)

// progressPace is how often a scan shows its progress.
const progressPace = 100 * time.Millisecond

// top streams the first sessions in an order: the page's head at once, its progress while the scan goes on, and the rows
// at the end. Each step of progress is an element that hides the one before it, so that no script is needed.
func (c *console) top(w http.ResponseWriter, r *http.Request, data listed) {
	if err := c.sessions.KeepClock(r.Context()); err != nil {
		c.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), topTime)
	defer cancel()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that collects the page would show no progress
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	v := view{Title: "Sessions, " + string(data.Order) + " first", Nav: "sessions", Prefix: c.sessions.Prefix, Data: data}
	t := templates["sessions"]
	if t.ExecuteTemplate(w, "head", v) != nil || t.ExecuteTemplate(w, "scan", v) != nil {
		return // the client has gone
	}
	_ = out.Flush() // without it the page comes in one piece
	var last time.Time
	rows, err := c.sessions.Top(ctx, data.Order, topRows, func(done, all int64) error {
		if time.Since(last) < progressPace {
			return nil
		}
		last = time.Now()
		if err := t.ExecuteTemplate(w, "progress", map[string]int64{"Done": done, "All": all}); err != nil {
			return err
		}
		_ = out.Flush()
		return ctx.Err()
	})
	if r.Context().Err() != nil {
		return
	}
	if err != nil {
		c.cfg.Logger.ErrorContext(r.Context(), "holdfast console: a scan ended early", "error", err)
		data.Problem = "The scan ended early, so the list is incomplete. " + meaning(err)
	}
	data.Rows = rows
	v.Data = data
	var result bytes.Buffer // in one piece: a table that comes in several moves while it is drawn
	if err := t.ExecuteTemplate(&result, "result", v); err != nil {
		c.cfg.Logger.ErrorContext(r.Context(), "holdfast console: cannot draw a page", "page", "sessions", "error", err)
		return
	}
	_, _ = result.WriteTo(w) // an error means that the client has gone
}

// lockView is the locks at one moment.
type lockView struct {
	Locks   []admin.Lock
	Waiting int // requests, at most one of each replica and session
	Held    int
	Now     time.Time // by the server's clock
	At      time.Time // by this machine's clock
	Took    time.Duration
	More    int // locks that are not in Locks
}

// maxLocks is how many locks a page shows.
const maxLocks = 200

func readLocks(ctx context.Context, s *admin.Sessions) (lockView, error) {
	begun := time.Now()
	locks, err := s.AllLocks(ctx)
	if err != nil {
		return lockView{}, err
	}
	v := lockView{Locks: locks, Now: s.Now(), At: time.Now(), Took: time.Since(begun)}
	for i := range locks {
		v.Waiting += len(locks[i].Queue)
		if locks[i].Holder != nil {
			v.Held++
		}
	}
	if len(locks) > maxLocks {
		v.Locks, v.More = locks[:maxLocks:maxLocks], len(locks)-maxLocks
	}
	return v, nil
}

// Longest is how long the longest wait lasts.
func (v lockView) Longest() (since time.Time) {
	if len(v.Locks) > 0 {
		since = v.Locks[0].Waiting()
	}
	return since
}
