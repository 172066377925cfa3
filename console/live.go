package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/internal/admin"
)

// streamLife is how long one stream of events lasts. Browsers then connect again, so that Authorize is called again,
// and a server that shuts down waits no longer than that.
const streamLife = 20 * time.Second

// events streams a part of a page as HTML, whenever it has changed.
func (c *console) events(w http.ResponseWriter, r *http.Request) {
	part, id := r.URL.Query().Get("part"), r.URL.Query().Get("id")
	var read func() (any, error)
	switch part {
	case "overview":
		read = func() (any, error) { return c.meter.now(), nil }
	case "locks":
		read = func() (any, error) { return c.meter.now().Locks, nil }
	case "lock":
		if problem, ok := checkID(id); !ok {
			c.refuse(w, r, http.StatusBadRequest, "Not a session ID", problem)
			return
		}
		read = func() (any, error) { return c.lockNow(r.Context(), id) }
	default:
		c.refuse(w, r, http.StatusBadRequest, "No such stream", "Streams are overview, locks and lock.")
		return
	}
	if r.Method == http.MethodHead {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	if part != "lock" {
		defer c.meter.watch()()
	}
	tick := time.NewTicker(pace)
	defer tick.Stop()
	end := time.After(streamLife)
	out := http.NewResponseController(w)
	var last []byte
	_, _ = fmt.Fprintf(w, "retry: %d\n\n", pace.Milliseconds())
	for {
		if html := c.fragment(part, read); html != nil && !bytes.Equal(html, last) {
			last = html
			if write(w, html) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return // the client has gone, or the writer cannot stream
		}
		select {
		case <-r.Context().Done():
			return
		case <-end:
			return
		case <-tick.C:
		}
	}
}

// fragment draws a part of a page. It is nil while there is nothing new to show.
func (c *console) fragment(part string, read func() (any, error)) []byte {
	data, err := read()
	if err != nil {
		return nil // the next one may succeed
	}
	if f, ok := data.(figures); ok && f.Seconds == 0 {
		return nil
	}
	if l, ok := data.(lockView); ok && l.At.IsZero() {
		return nil
	}
	var out bytes.Buffer
	if templates["problem"].ExecuteTemplate(&out, part+"-part", data) != nil {
		return nil
	}
	return out.Bytes()
}

// write sends one event.
func write(w http.ResponseWriter, html []byte) error {
	for line := range bytes.Lines(html) {
		if _, err := fmt.Fprintf(w, "data: %s\n", bytes.TrimRight(line, "\r\n")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, "\n")
	return err
}

// lockNow is one lock at one moment.
type lockNow struct {
	Lock admin.Lock
	Now  time.Time
}

func (c *console) lockNow(ctx context.Context, id string) (lockNow, error) {
	if err := c.sessions.KeepClock(ctx); err != nil {
		return lockNow{}, err
	}
	l, err := c.sessions.Lock(ctx, id)
	return lockNow{Lock: l, Now: c.sessions.Now()}, err
}
