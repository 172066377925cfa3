package promsession_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/adapter/promsession"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

func ExampleCollector() {
	srv, err := embedded.Start() // an application has a Redis
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	rdb := srv.Client()
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer

	metrics := promsession.New("shop", nil)
	sessions, err := manager.New(rdb, &manager.Config{Hooks: metrics.Hooks()})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())
	metrics.Observe(sessions)
	registry.MustRegister(metrics)

	cart := manager.Key[[]string]("cart")
	app := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cart.Set(sessions.Session(r.Context()), []string{"book"})
	}))
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cart", nil))

	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "holdfast_session_changes_total" {
			m := f.GetMetric()[0]
			fmt.Println(m.GetLabel()[0].GetValue(), m.GetCounter().GetValue())
		}
	}
	// Output: created 1
}

// An audit log next to the metrics.
func ExampleCollector_Hooks() {
	srv, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	metrics := promsession.New("shop", nil)
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "time" || a.Key == "id" || a.Key == "ids" { // they are never twice the same
			return slog.Attr{}
		}
		return a
	}}))

	audit := manager.Hooks{
		Committed: func(ctx context.Context, e manager.CommitEvent) {
			if e.Err == nil && (e.User != "" || e.Destroyed) {
				logger.InfoContext(ctx, "session", "id", e.ID, "user", e.User, "rotated", e.Rotated, "ended", e.Destroyed)
			}
		},
		Revoked: func(ctx context.Context, e manager.RevokeEvent) {
			logger.InfoContext(ctx, "sessions revoked", "ids", e.IDs, "user", e.User, "reason", manager.Reason(e.Err))
		},
	}
	cfg := &manager.Config{Hooks: metrics.Hooks().And(audit)}
	sessions, err := manager.New(srv.Client(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	app := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sessions.Session(r.Context()).BindUser("42")
	}))
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/login", nil))
	if _, err := sessions.RevokeUser(context.Background(), "42"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// level=INFO msg=session user=42 rotated=false ended=false
	// level=INFO msg="sessions revoked" user=42 reason=""
}
