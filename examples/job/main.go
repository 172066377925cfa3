// Command job works for a user after the response has gone: an import writes how far it is into the session, by the
// session's ID, and the page polls for it without ever waiting for the lock.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

var progress = manager.Key[int]("progress")

func main() {
	run.Manager(manager.Config{}, func(ctx context.Context, m *manager.Manager) error {
		w := &worker{m: m, pause: 300 * time.Millisecond}
		defer w.wait() // before the Manager is closed
		srv := &http.Server{Addr: "localhost:8080", Handler: w.routes(ctx), ReadHeaderTimeout: 5 * time.Second}
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
		defer stop()
		fmt.Println("http://" + srv.Addr)
		return srv.ListenAndServe()
	})
}

type worker struct {
	m     *manager.Manager
	pause time.Duration
	jobs  sync.WaitGroup
}

// routes serves the jobs, which end with ctx.
func (w *worker) routes(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /import", func(rw http.ResponseWriter, r *http.Request) {
		s := w.m.Session(r.Context())
		progress.Set(s, 0)
		// A job that starts before the commit might find a new session absent. Commit does it now, and frees the lock.
		if err := s.Commit(r.Context()); err != nil {
			return // it is answered
		}
		id := s.ID() // the session itself must not leave the handler
		w.jobs.Go(func() { w.work(ctx, id) })
		rw.WriteHeader(http.StatusAccepted)
	})
	mux.Handle("GET /progress", w.m.ReadOnly(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(rw, progress.Get(w.m.Session(r.Context())), "%")
	})))
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) { w.m.Session(r.Context()).Destroy() })
	root := http.NewServeMux()
	root.Handle("/", w.m.Lazy(mux))
	return root
}

func (w *worker) work(ctx context.Context, id string) {
	for done := 10; done <= 100; done += 10 {
		select {
		case <-time.After(w.pause): // the work
		case <-ctx.Done():
			return
		}
		// Update waits for the lock, opens, runs the function and commits; it may run it again after a conflict, so the
		// function has no effect but on the session.
		err := w.m.Update(ctx, id, func(s *manager.Session) error {
			progress.Set(s, done)
			return nil
		})
		switch {
		case errors.Is(err, manager.ErrNotFound), errors.Is(err, manager.ErrRemoved):
			return // the user has logged out
		case err != nil:
			slog.WarnContext(ctx, "progress was not saved", "error", err) // the next one will be
		}
	}
}

func (w *worker) wait() { w.jobs.Wait() }
