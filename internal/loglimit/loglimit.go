// Package loglimit keeps a log readable while something fails again and again: a Redis that is down fails every request.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Interval is how often one kind of line is logged at most, and RepeatedKey and OverKey the attributes of a line that
// stands for several: how many there were, the line itself included, and in how long a time.
const (
	Interval    = 10 * time.Second
	RepeatedKey = "repeated"
	OverKey     = "over"
)

// Errors is how many errors of one kind pass within Interval, a line that stands for several included.
const Errors = 10

// New returns a logger that writes to another one. Of each kind of line it passes on the first at once. Those that follow
// within [Interval] are counted, and the last of them is logged when the interval ends, with the count. Lines are of one
// kind if their message is the same, and their attribute "reason" if they have one. Of errors the first [Errors] pass, since
// each names a change or a session that was lost. Debug lines all pass.
//
// Stop logs what has been counted so far; from then on every line passes.
func New(to *slog.Logger) (log *slog.Logger, stop func()) {
	l := &limit{kinds: make(map[kind]*window)}
	return slog.New(&handler{to: to.Handler(), limit: l}), l.stop
}

type kind struct{ message, reason string }

// limit is what all handlers of one logger share.
type limit struct {
	mu      sync.Mutex
	kinds   map[kind]*window // nil once stopped
	stopped bool
}

// window is the time after a line in which others of its kind are held back.
type window struct {
	timer    *time.Timer
	passed   int
	repeated int
	last     slog.Record // of the repeated ones
	to       slog.Handler
}

// passes reports whether a line may be logged now. If not, it is counted.
func (l *limit) passes(r slog.Record, to slog.Handler) bool {
	k := kind{message: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			k.reason = a.Value.String()
		}
		return a.Key != "reason"
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return true
	}
	w, open := l.kinds[k]
	if !open {
		w = &window{passed: 1}
		w.timer = time.AfterFunc(Interval, func() { l.end(k, w) })
		l.kinds[k] = w
		return true
	}
	if r.Level >= slog.LevelError && w.passed < Errors {
		w.passed++
		return true
	}
	w.repeated, w.last, w.to = w.repeated+1, r.Clone(), to
	return false
}

// end logs what came within a window, and begins the next one if anything did.
func (l *limit) end(k kind, w *window) {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	repeated := *w
	if w.repeated == 0 {
		delete(l.kinds, k)
	} else {
		w.passed, w.repeated, w.last, w.to = 1, 0, slog.Record{}, nil
		w.timer.Reset(Interval)
	}
	l.mu.Unlock()
	repeated.log()
}

func (l *limit) stop() {
	l.mu.Lock()
	kinds := l.kinds
	l.kinds, l.stopped = nil, true
	l.mu.Unlock()
	for _, w := range kinds {
		w.timer.Stop()
		w.log()
	}
}

func (w *window) log() {
	if w.repeated == 0 {
		return
	}
	// If the logger panics, it did so with the first line as well, and that went on to the caller. Here it would end the
	// process, or stop.
	defer func() { _ = recover() }()
	r := w.last
	r.AddAttrs(slog.Int(RepeatedKey, w.repeated), slog.Duration(OverKey, Interval))
	_ = w.to.Handle(context.Background(), r)
}

// handler is a slog.Handler.
type handler struct {
	to    slog.Handler
	limit *limit
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.to.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && !h.limit.passes(r, h.to) {
		return nil
	}
	return h.to.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{to: h.to.WithAttrs(attrs), limit: h.limit}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{to: h.to.WithGroup(name), limit: h.limit}
}
