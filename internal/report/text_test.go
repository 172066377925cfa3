package report_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/report"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		"Zoë 日本":             "Zoë 日本",
		"a\x1b[2J":           `"a\x1b[2J"`,
		"two\nlines":         `"two\nlines"`,
		"right\u202eto left": `"right\u202eto left"`,
		"\xff":               `"\xff"`,
	} {
		if got := report.Text(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	if report.OrDash("") != "-" || report.OrDash("x") != "x" {
		t.Error("OrDash")
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                     "0ms",
		340 * time.Millisecond:           "340ms",
		2350 * time.Millisecond:          "2.3s",
		59 * time.Second:                 "59s",
		4*time.Minute + 2*time.Second:    "4m02s",
		3*time.Hour + 20*time.Minute:     "3h20m",
		52*time.Hour + 59*time.Minute:    "2d4h",
		400*24*time.Hour + 5*time.Second: "400d0h",
	} {
		if got := report.Age(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	if now := time.Now(); report.Ago(now, time.Time{}) != "-" || report.Ago(now, now.Add(-time.Hour)) != "1h00m" {
		t.Error("Ago")
	}
}

func TestBytesAndSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{-1: "-", 0: "0", 1023: "1023", 1536: "1.5k", 3 << 20: "3.0M", 5 << 30: "5.0G"} {
		if got := report.Bytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	for text, want := range map[string]report.Size{"0": 0, "4096": 4096, "16k": 16 << 10, "2M": 2 << 20, "1g": 1 << 30} {
		var s report.Size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s: got %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1.5k", "1t", "99999999999"} {
		if new(report.Size).Set(text) == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour} {
		var s report.Span
		if err := s.Set(text); err != nil || time.Duration(s) != want {
			t.Errorf("%s: got %v, %v", text, time.Duration(s), err)
		}
	}
	for _, text := range []string{"", "d", "3", "-1h", "0s", "1.5d", "-2d", "99999d"} {
		if new(report.Span).Set(text) == nil {
			t.Errorf("%q was read", text)
		}
	}
}

type broken struct{ writes int }

func (b *broken) Write([]byte) (int, error) {
	b.writes++
	return 0, errors.New("full")
}

func TestWriter(t *testing.T) {
	t.Parallel()
	var people, machines bytes.Buffer
	for _, w := range []*report.Writer{report.NewWriter(&people, false), report.NewWriter(&machines, true)} {
		w.Line("%d lines", 2)
		w.Object(map[string]string{"a": "<b>"})
	}
	if people.String() != "2 lines\n" || machines.String() != `{"a":"<b>"}`+"\n" {
		t.Errorf("got %q and %q", people.String(), machines.String())
	}
	out := &broken{}
	w := report.NewWriter(out, false)
	w.Line("a")
	w.Line("b")
	if w.Err() == nil || out.writes != 1 {
		t.Errorf("%d writes, error %v", out.writes, w.Err())
	}
}
