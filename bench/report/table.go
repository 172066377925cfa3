package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

var columns = "\tops/s\t±\tp50\tp99\tp99.9\tmax\tlost\tresurrected\ttrips\tredis µs\tclient µs\tallocs\tbytes\t× scs\t× limit\tfifo\terrors\t\n"

// Table writes the results for a terminal. An empty cell is a figure that could
// not be taken or makes no sense there.
func Table(w io.Writer, run *Run) error {
	p := &printer{w: w}
	p.printf("%s; %s, %d CPUs, %s; %d rounds", run.Backend, run.System, run.CPUs, run.Go, run.Rounds)
	if run.RTTMicro > 0 {
		p.printf("; round trip +%.0f µs", run.RTTMicro)
	}
	p.printf("\n")
	for _, s := range run.Settings {
		p.printf("  %-18s %s\n", s.Subject, s.Text)
	}
	for first := 0; first < len(run.Rows); {
		last := first + 1
		for last < len(run.Rows) && run.Rows[last].Title == run.Rows[first].Title {
			last++
		}
		p.printf("\n%s\n", run.Rows[first].Title)
		p.group(run.Rows[first:last])
		first = last
	}
	p.troubles(run)
	p.printf("\n%d rows in %v", len(run.Rows), run.Took.Round(time.Second))
	if run.Cut {
		p.printf(", interrupted")
	}
	p.printf("\n")
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// troubles writes what went wrong.
func (p *printer) troubles(run *Run) {
	lines := slices.Clone(run.Warnings)
	for _, row := range run.Rows {
		if row.Errors > 0 {
			lines = append(lines, fmt.Sprintf("%s: %s: %d errors, the first: %s", row.Title, row.Subject, row.Errors, row.FirstError))
		}
	}
	if len(lines) > 0 {
		p.printf("\n%s\n", strings.Join(lines, "\n"))
	}
}

// group writes the rows of one configuration.
func (p *printer) group(rows []Row) {
	if p.err != nil {
		return
	}
	tabs := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', tabwriter.AlignRight)
	inner := &printer{w: tabs}
	inner.printf("%s", columns)
	for _, r := range rows {
		inner.printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n",
			r.Name(), rounded(r.OpsPerS), r.SpreadText(),
			span(r.P50Micro), span(r.P99Micro), span(r.P999Micro), span(r.MaxMicro),
			count(r.Lost), count(r.Resurrected),
			figure(r.RoundTrips, 2), figure(r.RedisMicro, 1), figure(r.ClientMicro, 1), rounded(r.Allocs), rounded(r.Bytes),
			figure(r.VsSCS, 2), figure(r.VsLimit, 2), figure(r.FIFORatio, 2), count(r.Errors))
	}
	p.err = inner.err
	if p.err == nil {
		p.err = tabs.Flush()
	}
}

// Name tells the subject, and how it reads where that is a choice.
func (r Row) Name() string {
	switch r.Mode {
	case "local", "by method":
		return r.Subject + " (" + r.Mode + ")"
	}
	return r.Subject
}

// SpreadText writes how far apart the rounds were, if there were several.
func (r Row) SpreadText() string {
	if r.Spread == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%%", r.Spread*100)
}

// span writes microseconds in the unit that suits them.
func span(us float64) string {
	switch {
	case us <= 0:
		return ""
	case us < 10:
		return fmt.Sprintf("%.1fµs", us)
	case us < 1000:
		return fmt.Sprintf("%.0fµs", us)
	case us < 10_000:
		return fmt.Sprintf("%.1fms", us/1000)
	case us < 1_000_000:
		return fmt.Sprintf("%.0fms", us/1000)
	}
	return fmt.Sprintf("%.1fs", us/1_000_000)
}

// rounded writes a number without decimals, in groups of three digits.
func rounded(v float64) string {
	if v <= 0 {
		return ""
	}
	digits := strconv.FormatInt(int64(v+0.5), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func figure(v float64, decimals int) string {
	if v <= 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// count writes zero too: that nothing was lost is a result.
func count(n int64) string { return strconv.FormatInt(n, 10) }
