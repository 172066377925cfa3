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

// moreSteps is how many times as many steps of the scan each table of the rows so far takes as the one before it. The first
// one comes with the first rows, and however many sessions there are, a browser gets few tables.
const moreSteps = 4

// top streams the first sessions in an order: the page's head at once, then progress and the rows so far while the scan
// goes on, and at last the rows. Each line of progress and each table hides the one before it, so that no script is needed.
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
	out := &stream{w: w, v: view{Title: "Sessions, " + string(data.Order) + " first", Nav: "sessions", Prefix: c.sessions.Prefix, Data: data}}
	if out.send("scan", out.v) != nil {
		return // the client has gone
	}
	rows, err := c.sessions.Top(ctx, data.Order, topRows, out.progress)
	if r.Context().Err() != nil {
		return
	}
	if err != nil {
		c.cfg.Logger.ErrorContext(r.Context(), "holdfast console: a scan ended early", "error", err)
		data.Problem = "The scan ended early, so the list is incomplete. " + meaning(err)
	}
	data.Rows = rows
	out.v.Data = data
	_ = out.send("result", out.v) // an error means that the client has gone
}

// stream is a page that arrives in parts.
type stream struct {
	w     http.ResponseWriter
	v     view
	last  time.Time // when progress was last sent
	steps int       // of the scan
	table int       // the step that is followed by the next table
}

// soFar is what a scan has found and done when it is not at its end.
type soFar struct {
	listed

	Done, All int64
}

func (s *stream) progress(rows []admin.Row, done, all int64) error {
	s.steps++
	data := soFar{listed: s.v.Data.(listed), Done: done, All: all}
	switch data.Rows = rows; {
	case len(rows) > 0 && s.steps >= s.table:
		s.table = moreSteps * s.steps
		s.last = time.Now()
		return s.send("so-far", data)
	case time.Since(s.last) >= progressPace:
		s.last = time.Now()
		return s.send("progress", data)
	}
	return nil
}

// send writes a part in one piece, since a table that comes in several moves while it is drawn.
func (s *stream) send(part string, data any) error {
	var out bytes.Buffer
	err := templates["sessions"].ExecuteTemplate(&out, part, data)
	if err == nil {
		_, err = out.WriteTo(s.w)
	}
	if err == nil {
		_ = http.NewResponseController(s.w).Flush() // without it the page comes in one piece
	}
	return err
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
