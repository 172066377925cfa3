// Command websocket talks to a browser over github.com/coder/websocket. The session is open for the handshake only:
// afterwards a connection that lives for hours holds no lock, and looks the session up when it needs it.
package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/coder/websocket"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var (
	name = manager.Key[string]("name")
	said = manager.Key[int]("said")
)

func main() { run.HTTP(manager.Config{}, routes) }

func routes(m *manager.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /name/{name}", func(_ http.ResponseWriter, r *http.Request) {
		name.Set(m.Session(r.Context()), r.PathValue("name"))
	})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) { m.Session(r.Context()).Destroy() })
	mux.Handle("GET /chat", m.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := m.Session(r.Context()).ID() // stays the same when the token is rotated
		// Accept refuses other origins, commits, and answers 101 with the cookie if there is a new one. The lock is gone.
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it was answered
		}
		defer conn.CloseNow()
		err = chat(r.Context(), m, id, conn)
		if errors.Is(err, manager.ErrNotFound) || errors.Is(err, manager.ErrRemoved) {
			_ = conn.Close(websocket.StatusPolicyViolation, "logged out")
		}
	})))
	return m.Handler(mux)
}

// chat answers each message, and ends when the client does or the session has ended.
func chat(ctx context.Context, m *manager.Manager, id string, conn *websocket.Conn) error {
	for {
		kind, text, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var who string
		err = m.Update(ctx, id, func(s *manager.Session) error { // locks for as long as this takes
			who = name.Get(s)
			said.Set(s, said.Get(s)+1)
			return nil
		})
		if err != nil {
			return err
		}
		if err := conn.Write(ctx, kind, append([]byte(who+": "), text...)); err != nil {
			return err
		}
	}
}
