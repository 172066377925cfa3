package otelsession

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/manager"
)

// scope names the instrumentation, for meters and tracers.
const scope = "github.com/holdfast-go/holdfast/adapter/otelsession"

// Config holds the options for New. The zero value of a field means its default.
type Config struct {
	// MeterProvider makes the instruments. The caller owns it; Close does not shut it down.
	//
	// Defaults to the global one.
	MeterProvider metric.MeterProvider

	// TracerProvider makes the spans. The caller owns it; Close does not shut it down. To make no
	// spans, use the provider of go.opentelemetry.io/otel/trace/noop.
	//
	// Defaults to the global one.
	TracerProvider trace.TracerProvider

	// Name distinguishes the Managers of one process. It is the attribute holdfast.manager of each
	// metric and span.
	//
	// Defaults to "", without the attribute.
	Name string
}

// Telemetry exports the figures of one [manager.Manager]. It is safe for concurrent use.
type Telemetry struct {
	meter  metric.Meter
	tracer trace.Tracer
	sets   *sets

	opens, commits, waits metric.Float64Histogram

	mu       sync.Mutex // guards what follows
	observed metric.Registration
}

// bounds are in seconds: dense around a round trip to Redis, and up to Config.LockWait. A view can replace them.
var bounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// New returns a Telemetry and makes its instruments. If the MeterProvider fails, New returns its
// error.
func New(cfg Config) (*Telemetry, error) {
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{
		meter:  cfg.MeterProvider.Meter(scope),
		tracer: cfg.TracerProvider.Tracer(scope),
		sets:   newSets(cfg.Name),
	}
	var errs [3]error
	histogram := func(name, what string) (metric.Float64Histogram, error) {
		return t.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(bounds...))
	}
	t.opens, errs[0] = histogram("holdfast.session.open.duration", "Time to open a session, waiting for its lock included.")
	t.commits, errs[1] = histogram("holdfast.session.commit.duration", "Time to commit a session.")
	t.waits, errs[2] = histogram("holdfast.lock.wait.duration", "Time that requests waited for a session's lock; 0 if it was free.")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	return t, nil
}

// Hooks returns the hooks that fill the histograms and make the spans, for manager.Config. Metrics
// cost less than a microsecond per request that writes. Spans are made only in sampled traces, when
// the step has ended, with its start and end times. Combine them with other hooks with
// [manager.Hooks.And].
func (t *Telemetry) Hooks() manager.Hooks {
	return manager.Hooks{Opened: t.opened, Committed: t.committed, Revoked: t.revoked}
}

func (t *Telemetry) opened(ctx context.Context, e manager.OpenEvent) {
	set := t.sets.open(&e)
	t.opens.Record(ctx, e.Took.Seconds(), set.record...)
	locked := e.Mode == manager.Exclusive || e.Mode == manager.Lazy
	if locked && (e.Outcome == manager.OpenedFound || e.Waited > 0) {
		t.waits.Record(ctx, e.Waited.Seconds(), t.sets.plain.record...)
	}
	t.span(ctx, "holdfast.session.open", e.Took, set, e.Err)
}

func (t *Telemetry) committed(ctx context.Context, e manager.CommitEvent) {
	set := t.sets.commit(&e)
	t.commits.Record(ctx, e.Took.Seconds(), set.record...)
	t.span(ctx, "holdfast.session.commit", e.Took, set, e.Err)
}

func (t *Telemetry) revoked(ctx context.Context, e manager.RevokeEvent) {
	t.span(ctx, "holdfast.session.revoke", e.Took, t.sets.plain, e.Err)
}

// Observe makes the Telemetry export the counts of a Manager, in addition to what [Telemetry.Hooks]
// measures. A later call replaces the Manager.
func (t *Telemetry) Observe(m *manager.Manager) error {
	instruments, observe, err := observers(t.meter, t.sets.common, m)
	if err != nil {
		return fmt.Errorf("make instruments: %w", err)
	}
	registration, err := t.meter.RegisterCallback(observe, instruments...)
	if err != nil {
		return fmt.Errorf("register instruments: %w", err)
	}
	return t.replace(registration)
}

// Close ends Observe. Call it before or after the manager's Close.
func (t *Telemetry) Close() error { return t.replace(nil) }

func (t *Telemetry) replace(next metric.Registration) error {
	t.mu.Lock()
	last := t.observed
	t.observed = next
	t.mu.Unlock()
	if last == nil {
		return nil
	}
	return last.Unregister()
}

// span tells of a step that has just ended. It is not made beforehand, since most steps are in no sampled trace.
func (t *Telemetry) span(ctx context.Context, name string, took time.Duration, set *set, err error) {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return
	}
	end := time.Now()
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(end.Add(-took)), trace.WithAttributes(set.span...))
	finish(span, end, err)
}
