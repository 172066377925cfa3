package otelsession_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/holdfast-go/holdfast/adapter/otelsession"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

func ExampleTelemetry() { // as complete as the one of promsession: each is read alone
	srv, err := embedded.Start() // an application has a Redis
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	rdb := srv.Client()
	reader := sdkmetric.NewManualReader() // an application has a periodic one, with an exporter
	meters, tracers := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sdktrace.NewTracerProvider()

	telemetry, err := otelsession.New(otelsession.Config{
		MeterProvider: meters, TracerProvider: tracers, Name: "shop",
	})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := manager.New(rdb, &manager.Config{Hooks: telemetry.Hooks()})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())
	if err := telemetry.Observe(sessions); err != nil {
		log.Fatal(err)
	}
	defer telemetry.Close()

	cart := manager.Key[[]string]("cart")
	app := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cart.Set(sessions.Session(r.Context()), []string{"book"})
	}))
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/cart", nil))

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name == "holdfast.session.commit.duration" {
			p := m.Data.(metricdata.Histogram[float64]).DataPoints[0]
			outcome, _ := p.Attributes.Value("holdfast.outcome")
			fmt.Println(outcome.AsString(), p.Count)
		}
	}
	// Output: ok 1
}
