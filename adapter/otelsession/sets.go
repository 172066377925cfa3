package otelsession

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/manager"
)

// The attributes.
const (
	keyManager = attribute.Key("holdfast.manager")
	keyMode    = attribute.Key("holdfast.mode")
	keyOutcome = attribute.Key("holdfast.outcome")
	keyReason  = attribute.Key("holdfast.reason")
	keyChange  = attribute.Key("holdfast.change")
	keyKind    = attribute.Key("holdfast.kind")
	keyError   = attribute.Key("error.type")
)

// set is one combination of attributes, in the forms that instruments and spans take, so that recording makes nothing.
type set struct {
	record []metric.RecordOption
	span   []attribute.KeyValue
}

func newSet(attrs ...attribute.KeyValue) *set {
	return &set{
		record: []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))},
		span:   attrs,
	}
}

// ok is the outcome of a commit that was made. Those of opens, and the reasons of failures, are the manager's.
const ok = "ok"

// sets are all combinations that there are.
type sets struct {
	common    []attribute.KeyValue
	plain     *set
	opened    [manager.Exclusive + 1][manager.OpenFailed]*set // by mode and outcome
	committed [manager.Exclusive + 1]*set                     // by mode
	failed    [manager.Exclusive + 1]map[string]*set          // by mode and reason
}

func newSets(name string) *sets {
	s := &sets{}
	if name != "" {
		s.common = append(s.common, keyManager.String(name))
	}
	with := func(more ...attribute.KeyValue) *set { return newSet(slices.Concat(s.common, more)...) }
	s.plain = with()
	for mode := manager.ReadOnly; mode <= manager.Exclusive; mode++ {
		m := keyMode.String(mode.String())
		for outcome := range manager.OpenFailed {
			s.opened[mode][outcome] = with(m, keyOutcome.String(outcome.String()))
		}
		s.committed[mode] = with(m, keyOutcome.String(ok))
		s.failed[mode] = map[string]*set{}
		for _, reason := range manager.Reasons() {
			s.failed[mode][reason] = with(m, keyOutcome.String(reason), keyError.String(reason))
		}
	}
	return s
}

func (s *sets) open(e *manager.OpenEvent) *set {
	if e.Err != nil {
		return s.failed[e.Mode][manager.Reason(e.Err)]
	}
	return s.opened[e.Mode][e.Outcome]
}

func (s *sets) commit(e *manager.CommitEvent) *set {
	if e.Err != nil {
		return s.failed[e.Mode][manager.Reason(e.Err)]
	}
	return s.committed[e.Mode]
}

// finish ends a span. Of an error it holds the reason and not the text.
func finish(span trace.Span, end time.Time, err error) {
	if err != nil {
		span.SetStatus(codes.Error, manager.Reason(err))
	}
	span.End(trace.WithTimestamp(end))
}
