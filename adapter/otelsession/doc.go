// Package otelsession exports metrics and traces of a Manager through OpenTelemetry: histograms and
// spans of opening and committing, filled by [manager.Hooks], and the counts of [manager.Stats],
// read at each collection.
//
//	telemetry, err := otelsession.New(otelsession.Config{MeterProvider: meters, TracerProvider: tracers, Name: "shop"})
//	…
//	sessions, err := manager.New(rdb, &manager.Config{Hooks: telemetry.Hooks()})
//	…
//	err = telemetry.Observe(sessions)
//	defer telemetry.Close()
//
// No attribute ever holds a session's ID, a user, a key or a value. There are few sets of
// attributes, all of them known at New, and they do not grow with the number of sessions. What each
// metric means, and what to do when it rises, is described in docs/observability.md.
package otelsession
