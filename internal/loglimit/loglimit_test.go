package loglimit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/loglimit"
)

// written runs fn in a bubble with a limited logger, and returns the lines without their times.
func written(t *testing.T, fn func(log *slog.Logger, stop func())) (lines []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, stop := loglimit.New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if len(groups) == 0 && a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})))
		fn(log, stop)
		synctest.Wait()
		lines = strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	})
	return lines
}

func wants(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFirstAtOnceThenACount(t *testing.T) {
	t.Parallel()
	wants(t, written(t, func(log *slog.Logger, _ func()) {
		for n := range 3 {
			log.Warn("refused", "reason", "conflict", "n", n)
			time.Sleep(time.Millisecond) // one interval ends after the other
			log.Warn("refused", "reason", "unavailable", "n", n)
		}
		time.Sleep(loglimit.Interval)
		log.Warn("refused", "reason", "conflict", "n", 3)
		time.Sleep(loglimit.Interval)
		time.Sleep(loglimit.Interval) // a quiet one
		log.Warn("refused", "reason", "conflict", "n", 4)
	}),
		"level=WARN msg=refused reason=conflict n=0",
		"level=WARN msg=refused reason=unavailable n=0",
		"level=WARN msg=refused reason=conflict n=2 repeated=2 over=10s",
		"level=WARN msg=refused reason=unavailable n=2 repeated=2 over=10s",
		"level=WARN msg=refused reason=conflict n=3 repeated=1 over=10s",
		"level=WARN msg=refused reason=conflict n=4",
	)
}

// However many lines come, and from however many requests, few are written, and none is lost from the counts.
func TestManyLines(t *testing.T) {
	t.Parallel()
	const perSecond, seconds = 500, 60
	lines := written(t, func(log *slog.Logger, stop func()) {
		for range perSecond * seconds {
			log.With("id", "x").Warn("failed", "reason", "unavailable")
			time.Sleep(time.Second / perSecond)
		}
		stop()
	})
	total := 0
	for _, line := range lines {
		if !strings.Contains(line, "id=x") {
			t.Errorf("lost its attributes: %s", line)
		}
		total += standsFor(t, line)
	}
	if len(lines) > seconds/10+1 || total != perSecond*seconds {
		t.Errorf("%d lines stand for %d of %d", len(lines), total, perSecond*seconds)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	wants(t, written(t, func(log *slog.Logger, stop func()) {
		log.Info("lost", "n", 1)
		log.Info("lost", "n", 2)
		stop()
		log.Info("lost", "n", 3)
		log.Info("lost", "n", 4)
	}),
		"level=INFO msg=lost n=1", "level=INFO msg=lost n=2 repeated=1 over=10s", "level=INFO msg=lost n=3", "level=INFO msg=lost n=4")
}

func TestWhatIsNotLimited(t *testing.T) {
	t.Parallel()
	lines := written(t, func(log *slog.Logger, _ func()) {
		for range 3 {
			log.Debug("detail") // not enabled
			log.Info("one thing")
			log.Error("lost")
		}
		log.WithGroup("g").Info("another", "n", 1)
	})
	wants(t, lines, "level=INFO msg=\"one thing\"", "level=ERROR msg=lost", "level=ERROR msg=lost", "level=ERROR msg=lost", "level=INFO msg=another g.n=1")
}

// Each error names what was lost, so the first of a kind pass; a flood of them is counted like other lines.
func TestManyErrors(t *testing.T) {
	t.Parallel()
	const perSecond, seconds = 500, 30
	lines := written(t, func(log *slog.Logger, stop func()) {
		for n := range perSecond * seconds {
			log.Error("lost", "id", n)
			time.Sleep(time.Second / perSecond)
		}
		stop()
	})
	total := 0
	for i, line := range lines {
		if i < loglimit.Errors && !strings.HasSuffix(line, fmt.Sprintf("id=%d", i)) {
			t.Errorf("line %d is %s", i, line)
		}
		total += standsFor(t, line)
	}
	if len(lines) > loglimit.Errors*(seconds/10+1) || total != perSecond*seconds {
		t.Errorf("%d lines stand for %d of %d", len(lines), total, perSecond*seconds)
	}
}

// standsFor returns how many events a line stands for.
func standsFor(t *testing.T, line string) (n int) {
	t.Helper()
	_, count, ok := strings.Cut(line, loglimit.RepeatedKey+"=")
	if !ok {
		return 1
	}
	if _, err := fmt.Sscan(count, &n); err != nil {
		t.Fatal(line, err)
	}
	return n
}

// bomb is a handler that panics.
type bomb struct{ slog.Handler }

func (bomb) Handle(context.Context, slog.Record) error { panic("boom") }

// A logger that panics does so where the line is logged, and neither in a timer, which would end the process, nor in stop.
func TestLoggerPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, stop := loglimit.New(slog.New(bomb{slog.NewTextHandler(io.Discard, nil)}))
		line := func() (panicked bool) {
			defer func() { panicked = recover() != nil }()
			log.Warn("refused")
			return false
		}
		if !line() || line() {
			t.Error("the first line of a kind must panic, and the next one be held back")
		}
		time.Sleep(loglimit.Interval)
		if line() {
			t.Error("the interval after a held-back line let the next line pass")
		}
		stop()
	})
}
