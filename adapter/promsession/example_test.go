package promsession_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/adapter/promsession"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

func ExampleCollector() {
	rdb, err := embedded.Start() // an application has a Redis
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()

	metrics := promsession.New("shop", nil)
	sessions, err := manager.New(rdb.Client(), &manager.Config{Hooks: metrics.Hooks()})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())
	metrics.Observe(sessions)
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
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
