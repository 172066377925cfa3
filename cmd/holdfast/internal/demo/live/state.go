package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

// state is what the page shows at one moment.
type state struct {
	Replicas []replica `json:"replicas"`
	Cut      bool      `json:"cut"`      // the replicas are cut off from Redis
	Unlocked bool      `json:"unlocked"` // the lock is switched off
	Sticky   bool      `json:"sticky"`   // the balancer sends a session to one replica
	Trips    int       `json:"trips"`    // to Redis, -1 if they cannot be counted
	Session  *session  `json:"session"`  // null if Redis holds none
	Account  account   `json:"account"`
	Events   []event   `json:"events"` // since the last state, oldest first
	Newest   uint64    `json:"newest"` // number of the newest event
}

type replica struct {
	State         cluster.State `json:"state"`
	Requests      int64         `json:"requests"`
	Trips         int           `json:"trips"`
	Waiting       int           `json:"waiting"`
	Copy          bool          `json:"copy"` // it holds one of this session
	LocalHits     int64         `json:"localHits"`
	Invalidations int64         `json:"invalidations"`
	Fresh         float64       `json:"fresh"` // age of the proof that it has missed no invalidation, -1 without proof
}

type session struct {
	ID      string    `json:"id"`
	Version string    `json:"version"`
	User    string    `json:"user"`
	Cart    shop.Cart `json:"cart"`
	Count   int       `json:"count"`
	Holder  string    `json:"holder"` // empty if the lock is free
	Kept    bool      `json:"kept"`   // the holder keeps it for the next request
	Queue   []string  `json:"queue"`
}

type event struct {
	Seq     uint64  `json:"seq"`
	Replica string  `json:"replica"`
	What    string  `json:"what"`
	Waited  float64 `json:"waited"` // seconds
	Outcome string  `json:"outcome"`
	Bad     bool    `json:"bad"`
}

// look gathers the state for a page that shows that session and has seen the events up to a number.
func (p *Page) look(ctx context.Context, id string, after uint64) state {
	trips, counted := p.cluster.Trips()
	if !counted {
		trips = -1
	}
	// The audit comes before the cart: what is acknowledged was written earlier.
	s := state{Cut: p.cluster.Cut(), Unlocked: p.cluster.Unlocked(), Sticky: p.cluster.Sticky(), Trips: trips, Account: p.audit.of(id), Replicas: []replica{}}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	found, ok, _ := p.cluster.Session(ctx, id) // without an answer there is nothing to show
	holds := make(map[int]bool)
	if ok {
		s.Session = &session{ID: id, Version: found.Version, User: found.User, Cart: found.Cart, Count: found.Cart.Count()}
		if found.Holder != nil {
			s.Session.Holder, s.Session.Kept = name(*found.Holder), found.Kept
		}
		for _, q := range found.Queue {
			s.Session.Queue = append(s.Session.Queue, name(q))
		}
		for _, c := range found.Copies {
			holds[c.Replica] = !c.Gone
		}
	}
	for i, r := range p.cluster.Replicas() {
		s.Replicas = append(s.Replicas, replica{
			State: r.State, Requests: r.Requests, Trips: r.Trips, Waiting: r.Waiting,
			// Redis knows who has taken a copy, and the replica whether it has forgotten all of them since.
			Copy:      holds[i] && r.Copies > 0,
			LocalHits: r.LocalHits, Invalidations: r.Invalidations, Fresh: tenths(r.Fresh),
		})
	}
	events, newest := p.cluster.Events(after, id)
	s.Newest = newest
	for _, e := range events {
		s.Events = append(s.Events, event{
			Seq: e.Seq, Replica: name(cluster.Place{Replica: e.Replica}), What: e.What,
			Waited: e.Waited.Seconds(), Outcome: e.Outcome, Bad: e.Bad,
		})
	}
	return s
}

func name(p cluster.Place) string {
	switch {
	case p.Replica < 0:
		return "another process"
	case p.Gone:
		return fmt.Sprintf("replica %d, killed", p.Replica+1)
	}
	return fmt.Sprintf("replica %d", p.Replica+1)
}

// tenths rounds to tenths of a second, so that the stream is silent when nothing happens.
func tenths(d time.Duration) float64 {
	if d < 0 {
		return -1
	}
	return float64(d.Round(100*time.Millisecond)/(100*time.Millisecond)) / 10
}

// now answers with the state, once.
func (p *Page) now(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(p.look(r.Context(), r.URL.Query().Get("session"), 0)) // the client has left
}

// pace is how often the state is looked at for each stream.
const pace = 100 * time.Millisecond

// events streams the state: at once, and whenever it has changed.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	tick := time.NewTicker(pace)
	defer tick.Stop()
	id := r.URL.Query().Get("session")
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	var last []byte
	for {
		s := p.look(r.Context(), id, after)
		after = s.Newest
		data, err := json.Marshal(s)
		if err != nil {
			return
		}
		if !bytes.Equal(data, last) {
			last = data
			if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-p.cluster.Closing():
			return
		}
	}
}
