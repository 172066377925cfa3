package console

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/internal/report"
)

// functions are what templates format with.
var functions = template.FuncMap{
	"text":  report.Text,
	"bytes": size,
	"size":  func(n int) string { return size(int64(n)) },
	"ago":   ago,
	"in":    in,
	"date":  date,
	"plural": func(n int, thing string) string {
		return strings.Replace(report.Count(n, thing), strconv.Itoa(n), grouped(strconv.Itoa(n)), 1)
	},
	"group":   func(n any) string { return grouped(fmt.Sprint(n)) },
	"count":   func(f float64) string { return whole(f) },
	"rate":    rate,
	"points":  points,
	"most":    func(s series) string { return whole(most(s)) },
	"inc":     func(n int) int { return n + 1 },
	"elapsed": report.Age,
}

// ago is an age such as "3m12s ago", or a dash for an unknown time.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return report.Ago(now, t) + " ago"
}

// size is a number of bytes with its unit: 512 B, 1.5 kB; a dash if unknown.
func size(n int64) string {
	text := report.Bytes(n)
	switch last := text[len(text)-1]; {
	case n < 0:
		return "–"
	case last >= '0' && last <= '9':
		return text + " B"
	default:
		return text[:len(text)-1] + " " + string(last) + "B"
	}
}

// in is a time to come, such as "in 29m59s".
func in(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	return "in " + report.Age(t.Sub(now))
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// grouped is a number with its thousands apart: 100,312.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func whole(f float64) string { return grouped(strconv.FormatInt(int64(math.Round(f)), 10)) }

// rate is a number per second, with a decimal if it is small.
func rate(f float64) string {
	if f > 0 && f < 10 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return whole(f)
}

func most(s series) (top float64) {
	for _, v := range s {
		top = max(top, v)
	}
	return top
}

// Size of a chart, in units of its own.
const (
	chartWidth  = 240
	chartHeight = 40
)

// points are a series as the points of a line; the newest one is at the right.
func points(s series) string {
	top := max(most(s), 1)
	var out strings.Builder
	for i, v := range s {
		x := chartWidth - float64(len(s)-1-i)*chartWidth/(width-1)
		fmt.Fprintf(&out, "%.1f,%.1f ", x, 1+(chartHeight-2)*(1-v/top))
	}
	return strings.TrimSpace(out.String())
}
