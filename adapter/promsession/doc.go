// Package promsession exports the figures of a session manager to Prometheus: the counts of [manager.Stats], read at
// each scrape, and histograms of opening, waiting and committing, fed by [manager.Hooks].
//
//	metrics := promsession.New("shop", nil)
//	sessions, err := manager.New(rdb, &manager.Config{Hooks: metrics.Hooks()})
//	…
//	metrics.Observe(sessions)
//	registry.MustRegister(metrics)
//
// The name that New is given becomes the constant label "manager" of each metric, so several managers of one process
// register side by side. No label ever holds an ID, a user, a key or a value: there are some 150 time series per
// manager, and buckets, and they do not grow with the number of sessions.
//
// The folder also holds a dashboard for Grafana (dashboard.json) and alert rules for Prometheus (alerts.yml). What each
// metric means, and what to do when it rises, is described in docs/observability.md.
package promsession
