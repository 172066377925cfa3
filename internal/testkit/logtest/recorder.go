// Package logtest keeps what is logged, for tests of what operators see.
package logtest

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Recorder is a slog.Handler that keeps each record of every level. The zero value is ready. It is safe for concurrent
// use. Handlers that are derived from it with attributes or groups would lose those, so they panic.
type Recorder struct {
	mu      sync.Mutex // guards records
	records []slog.Record
}

var _ slog.Handler = (*Recorder)(nil)

// Enabled implements slog.Handler.
func (*Recorder) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *Recorder) Handle(_ context.Context, r slog.Record) error {
	resolved := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		a.Value = a.Value.Resolve() // now, as handlers do that write
		if a.Value.Kind() != slog.KindGroup || len(a.Value.Group()) > 0 {
			resolved.AddAttrs(a)
		}
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, resolved)
	return nil
}

// WithAttrs implements slog.Handler.
func (*Recorder) WithAttrs([]slog.Attr) slog.Handler { panic("logtest: not supported") }

// WithGroup implements slog.Handler.
func (*Recorder) WithGroup(string) slog.Handler { panic("logtest: not supported") }

// Lines returns the records from a level on, each as "LEVEL message key key".
func (l *Recorder) Lines(from slog.Level) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.Level < from {
			continue
		}
		line := r.Level.String() + " " + r.Message
		r.Attrs(func(a slog.Attr) bool { line += " " + a.Key; return true })
		lines = append(lines, line)
	}
	return lines
}

// Text returns everything that was logged, values and all, a line for each record.
func (l *Recorder) Text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	for _, r := range l.records {
		text.WriteString(r.Message)
		r.Attrs(func(a slog.Attr) bool {
			text.WriteString(" " + a.Key + "=" + strings.ReplaceAll(a.Value.String(), "\n", " "))
			return true
		})
		text.WriteByte('\n')
	}
	return text.String()
}

// Most returns how many records from a level on were written within one span of time, where they were the most.
func (l *Recorder) Most(from slog.Level, span time.Duration) (most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var times []time.Time
	for _, r := range l.records {
		if r.Level >= from {
			times = append(times, r.Time)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
