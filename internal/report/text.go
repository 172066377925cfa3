package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Text makes a foreign text safe for a terminal: with anything in it that is not printable, it is quoted as in Go.
func Text(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(s)
	}
	return s
}

// OrDash is the text, or "-" for none.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return Text(s)
}

// Age is a duration in at most two units: 340ms, 12s, 4m12s, 3h20m, 2d4h. Negative ones are none.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", max(0, d.Milliseconds()))
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < day:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d/day), int(d%day/time.Hour))
}

// Ago is the age of a time, or "-" for none.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return Age(now.Sub(t))
}

// Bytes is a number of bytes: 512, 1.5k, 3.0M. Negative ones are not known: "-".
func Bytes(n int64) string {
	switch f := float64(n); {
	case n < 0:
		return "-"
	case n < 1<<10:
		return strconv.FormatInt(n, 10)
	case n < 1<<20:
		return fmt.Sprintf("%.1fk", f/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1fM", f/(1<<20))
	default:
		return fmt.Sprintf("%.1fG", f/(1<<30))
	}
}

// Count is a number of things: "1 session", "2 sessions".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// Size is a flag for a number of bytes: 4096, 16k, 2M.
type Size int64

// String implements flag.Value.
func (s *Size) String() string { return strconv.FormatInt(int64(*s), 10) }

// Set implements flag.Value.
func (s *Size) Set(text string) error {
	digits, shift := strings.ToLower(text), 0
	for unit, by := range map[string]int{"k": 10, "m": 20, "g": 30} {
		if rest, ok := strings.CutSuffix(digits, unit); ok {
			digits, shift = rest, by
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return errors.New("want bytes such as 4096, 16k or 2M")
	}
	*s = Size(n << shift)
	return nil
}

// Span is a flag for a duration that may be given in days: 90s, 36h, 30d.
type Span time.Duration

// String implements flag.Value.
func (s *Span) String() string { return time.Duration(*s).String() }

// Set implements flag.Value.
func (s *Span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d <= 0 {
		return errors.New("want a time such as 90s, 36h or 30d")
	}
	*s = Span(d)
	return nil
}
