// Package promsession exports metrics of a Manager to Prometheus: the counts of [manager.Stats],
// read at each scrape, and histograms of opening, waiting and committing, filled by
// [manager.Hooks].
//
//	metrics := promsession.New("shop", nil)
//	sessions, err := manager.New(rdb, &manager.Config{Hooks: metrics.Hooks()})
//	…
//	metrics.Observe(sessions)
//	registry.MustRegister(metrics)
//
// The first argument of New becomes the constant label "manager" of each metric, so several
// Managers of one process can be registered. No label ever holds a session's ID, a user, a key or a
// value. There are some 150 time series per manager, and the buckets of its histograms. They do not
// grow with the number of sessions.
//
// The folder also holds a dashboard for Grafana (dashboard.json) and alert rules for Prometheus (alerts.yml). What each
// metric means, and what to do when it rises, is described in docs/observability.md.
package promsession
