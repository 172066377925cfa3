package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/internal/admin"
)

// Bounds of the list of sessions.
const (
	pageRows = 50               // a page ends at the step of SCAN that reaches it
	pageTime = time.Second      // or after this time, whatever was found
	topRows  = 50               // rows of a list in an order
	topTime  = 10 * time.Minute // the longest scan for one
)

// listed is the content of the list of sessions.
type listed struct {
	Order   admin.Order // empty: as SCAN finds them
	Rows    []admin.Row
	Next    string
	Further bool // not the first page
	Revoked string
	Problem string
}

func (c *console) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	data := listed{Order: admin.Order(q.Get("order")), Further: q.Get("from") != "", Revoked: number(q.Get("revoked"))}
	switch data.Order {
	case "":
	case admin.Newest, admin.Idle, admin.Largest:
		c.top(w, r, data)
		return
	default:
		c.refuse(w, r, http.StatusBadRequest, "No such order", "Sessions are listed as newest, idle or largest.")
		return
	}
	if err := c.sessions.KeepClock(r.Context()); err != nil {
		c.fail(w, r, err)
		return
	}
	found, err := c.sessions.Page(r.Context(), q.Get("from"), pageRows, pageTime)
	switch {
	case errors.Is(err, admin.ErrCursor):
		c.refuse(w, r, http.StatusBadRequest, "No such page", "This is not a page of the list. Begin at its first page.")
		return
	case err != nil:
		c.fail(w, r, err)
		return
	}
	data.Rows, data.Next = found.Rows, found.Next
	c.draw(w, r, http.StatusOK, "sessions", view{Title: "Sessions", Nav: "sessions", Data: data})
}

// number is a text if it is a number.
func number(text string) string {
	if _, err := strconv.ParseUint(text, 10, 32); err != nil {
		return ""
	}
	return text
}

// shown is the content of the page of one session.
type shown struct {
	*admin.Session

	Client     admin.Client
	ShowValues bool
}

func (c *console) read(ctx context.Context, id string) (*shown, error) {
	if err := c.sessions.KeepClock(ctx); err != nil {
		return nil, err
	}
	s, err := c.sessions.Session(ctx, id, c.cfg.ShowValues)
	if err != nil {
		return nil, err
	}
	return &shown{Session: s, Client: admin.ClientOf(s.Record.Client), ShowValues: c.cfg.ShowValues}, nil
}

func (c *console) session(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if problem, ok := checkID(id); !ok {
		c.refuse(w, r, http.StatusBadRequest, "Not a session ID", problem)
		return
	}
	s, err := c.read(r.Context(), id)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.draw(w, r, http.StatusOK, "session", view{Title: "Session " + id, Nav: "sessions", Data: s})
}

// devices is the content of a user's page.
type devices struct {
	User    string
	Rows    []admin.Row
	Revoked string
}

func (c *console) user(w http.ResponseWriter, r *http.Request) {
	data := devices{User: r.URL.Query().Get("name"), Revoked: number(r.URL.Query().Get("revoked"))}
	if data.User == "" {
		c.refuse(w, r, http.StatusBadRequest, "No user", "Give the name that the application passes to BindUser.")
		return
	}
	var err error
	if data.Rows, err = c.devicesOf(r.Context(), data.User); err != nil {
		c.fail(w, r, err)
		return
	}
	c.draw(w, r, http.StatusOK, "user", view{Title: "User " + data.User, Nav: "sessions", Data: data})
}

func (c *console) devicesOf(ctx context.Context, user string) ([]admin.Row, error) {
	if err := c.sessions.KeepClock(ctx); err != nil {
		return nil, err
	}
	return c.sessions.OfUser(ctx, user)
}

func (c *console) locks(w http.ResponseWriter, r *http.Request) {
	found, err := c.currentLocks(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.draw(w, r, http.StatusOK, "locks", view{Title: "Locks", Nav: "locks", Data: found})
}

// currentLocks is what the meter knows while it runs, or what a scan finds.
func (c *console) currentLocks(ctx context.Context) (lockView, error) {
	if f := c.meter.now(); !f.Locks.At.IsZero() && time.Since(f.Locks.At) < fresh {
		return f.Locks, nil
	}
	if err := c.sessions.KeepClock(ctx); err != nil {
		return lockView{}, err
	}
	return readLocks(ctx, c.sessions)
}

func (c *console) overview(w http.ResponseWriter, r *http.Request) {
	f := c.meter.now()
	if f.Seconds == 0 { // it has not run yet: what can be known at once
		f = c.meter.glance(r.Context())
	}
	c.draw(w, r, http.StatusOK, "overview", view{Title: "Overview", Nav: "overview", Data: f})
}
