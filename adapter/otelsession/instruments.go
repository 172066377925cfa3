package otelsession

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/holdfast-go/holdfast/manager"
)

// instruments collects the instruments that are read from Stats, each with what reads it.
type instruments struct {
	meter   metric.Meter
	common  []attribute.KeyValue // of every instrument
	plain   metric.ObserveOption // the same
	all     []metric.Observable
	readers []func(metric.Observer, *manager.Stats)
	errs    []error
}

// part is one value of an attribute, with its count.
type part struct {
	value string
	read  func(*manager.Stats) int64
}

func (n *instruments) whole(i metric.Int64Observable, err error, option metric.ObserveOption, read func(*manager.Stats) int64) {
	n.errs = append(n.errs, err)
	n.all = append(n.all, i)
	n.readers = append(n.readers, func(o metric.Observer, s *manager.Stats) { o.ObserveInt64(i, read(s), option) })
}

func (n *instruments) counter(name, unit, what string, read func(*manager.Stats) int64) {
	i, err := n.meter.Int64ObservableCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
	n.whole(i, err, n.plain, read)
}

// several is a counter with an attribute.
func (n *instruments) several(name, unit, what string, key attribute.Key, parts ...part) {
	i, err := n.meter.Int64ObservableCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
	for _, p := range parts {
		set := attribute.NewSet(slices.Concat(n.common, []attribute.KeyValue{key.String(p.value)})...)
		n.whole(i, err, metric.WithAttributeSet(set), p.read)
	}
}

// level is a number that adds up over processes.
func (n *instruments) level(name, unit, what string, read func(*manager.Stats) int64) {
	i, err := n.meter.Int64ObservableUpDownCounter("holdfast."+name, metric.WithUnit(unit), metric.WithDescription(what))
	n.whole(i, err, n.plain, read)
}

// gauge is 1 or 0.
func (n *instruments) gauge(name, what string, read func(*manager.Stats) bool) {
	i, err := n.meter.Int64ObservableGauge("holdfast."+name, metric.WithUnit("1"), metric.WithDescription(what))
	n.whole(i, err, n.plain, func(s *manager.Stats) int64 {
		if read(s) {
			return 1
		}
		return 0
	})
}

// seconds is a time, which is unknown while it is negative.
func (n *instruments) seconds(name, what string, read func(*manager.Stats) time.Duration) {
	i, err := n.meter.Float64ObservableGauge("holdfast."+name, metric.WithUnit("s"), metric.WithDescription(what))
	n.errs = append(n.errs, err)
	n.all = append(n.all, i)
	n.readers = append(n.readers, func(o metric.Observer, s *manager.Stats) {
		if d := read(s); d >= 0 {
			o.ObserveFloat64(i, d.Seconds(), n.plain)
		}
	})
}
