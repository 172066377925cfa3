// Command sse sends events to a browser for as long as it listens. The session is open until the first event leaves;
// afterwards the stream holds no lock, and looks the session up when it needs it.
package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var (
	cart    = manager.Key[[]string]("cart")
	streams = manager.Key[int]("streams")
)

func main() {
	run.HTTP(manager.Config{}, func(m *manager.Manager) http.Handler { return routes(m, time.Second) })
}

func routes(m *manager.Manager, pace time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart/{sku}", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		cart.Set(s, append(cart.Get(s), r.PathValue("sku")))
	})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) { m.Session(r.Context()).Destroy() })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		streams.Set(s, streams.Get(s)+1) // before the first byte: later it would be too late
		id, rc := s.ID(), http.NewResponseController(w)
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(pace)
		defer tick.Stop()
		// The first Flush commits, and with it goes the lock. The context still ends when the client leaves.
		for seen := -1; rc.Flush() == nil; {
			err := m.View(r.Context(), id, func(s *manager.Session) error {
				if n := len(cart.Get(s)); n != seen {
					seen = n
					fmt.Fprintf(w, "data: %d in the cart\n\n", n)
				}
				return nil
			})
			if err != nil { // of the session, if it has ended meanwhile
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	return m.Handler(mux)
}
