package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// The charting library is Chart.js 4.6.1, as published; its license is next to it.
//
//go:embed assets
var assets embed.FS

// HTML writes the results as one page that needs nothing else: charts, style
// and data are all inside. Its tables are there without JavaScript too.
func HTML(w io.Writer, run *Run) error {
	read := func(name string) []byte {
		data, err := assets.ReadFile("assets/" + name)
		if err != nil {
			panic(err) // embedded above, so this is a slip at build time
		}
		return data
	}
	page, err := template.New("page").Funcs(template.FuncMap{
		"span": span, "rounded": rounded, "figure": figure, "count": count, "percent": percent, "total": func(n int64) string { return rounded(float64(n)) },
	}).Parse(string(read("page.html")))
	if err != nil {
		return fmt.Errorf("parse page: %w", err)
	}
	// A source map would be looked for next to the page.
	library, _, _ := bytes.Cut(read("chartjs/chart.umd.min.js"), []byte("\n//# sourceMappingURL="))
	err = page.Execute(w, view{
		Run:     run,
		Took:    run.Took.Round(time.Second),
		Groups:  groups(run.Rows),
		Safety:  safety(run.Rows),
		Tiles:   tiles(run),
		Data:    data{Percentiles: Percentiles, Rows: points(run.Rows)},
		Library: template.JS(library),           //nolint:gosec // ours, from the binary
		Script:  template.JS(read("page.js")),   //nolint:gosec // as above
		Style:   template.CSS(read("page.css")), //nolint:gosec // as above
	})
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// view is what the page shows.
type view struct {
	*Run

	Took    time.Duration
	Groups  []group
	Safety  []account
	Tiles   []tile
	Data    data
	Library template.JS
	Script  template.JS
	Style   template.CSS
}

// group is the rows of one configuration.
type group struct {
	Title string
	Rows  []Row
}

func groups(rows []Row) []group {
	var list []group
	for _, row := range rows {
		if len(list) == 0 || list[len(list)-1].Title != row.Title {
			list = append(list, group{Title: row.Title})
		}
		last := &list[len(list)-1]
		last.Rows = append(last.Rows, row)
	}
	return list
}

// account is what became of one subject's acknowledged writes and removals, in
// all scenarios together.
type account struct {
	Subject                                  string
	Acknowledged, Lost, Removed, Resurrected int64
}

func safety(rows []Row) []account {
	var list []account
	for _, row := range rows {
		if row.Acknowledged == 0 && row.Removed == 0 {
			continue
		}
		i := slices.IndexFunc(list, func(a account) bool { return a.Subject == row.Subject })
		if i < 0 {
			i = len(list)
			list = append(list, account{Subject: row.Subject})
		}
		list[i].Acknowledged += row.Acknowledged
		list[i].Lost += row.Lost
		list[i].Removed += row.Removed
		list[i].Resurrected += row.Resurrected
	}
	return list
}

// tile is one figure at the top of the page.
type tile struct{ Figure, Label string }

// tiles picks the figures that answer the question first, of those there are.
func tiles(run *Run) []tile {
	var list []tile
	add := func(format func(Row) string, label string, match func(Row) bool) {
		if i := slices.IndexFunc(run.Rows, func(r Row) bool { return r.Subject == "holdfast" && match(r) }); i >= 0 {
			if text := format(run.Rows[i]); text != "" {
				list = append(list, tile{text, label})
			}
		}
	}
	busy := func(r Row) bool { return r.Scenario == "rmw" && r.Payload == 400 && r.Workers == 16 }
	times := func(ratio float64) string {
		if ratio == 0 {
			return ""
		}
		return "× " + strconv.FormatFloat(ratio, 'f', 2, 64)
	}
	add(func(r Row) string { return times(r.VsSCS) }, "scs, read and write, 400 B, 16 workers", busy)
	add(func(r Row) string { return times(r.VsLimit) }, "two bare round trips, the same", busy)
	add(func(r Row) string { return span(r.P50Micro) }, "median read from a local copy",
		func(r Row) bool { return r.Scenario == "read" && r.Mode == "local" })
	add(func(r Row) string { return figure(r.FIFORatio, 2) }, "p99 of 16 contenders, 1 being perfect turns",
		func(r Row) bool { return r.Scenario == "contended" && r.Nodes == 4 && r.HoldMicro == 2000 })
	for _, a := range safety(run.Rows) {
		if a.Subject == "holdfast" {
			list = append(list, tile{count(a.Lost + a.Resurrected), "updates lost and sessions resurrected"})
		}
	}
	return list
}

// data is what the charts are drawn from.
type data struct {
	Percentiles []float64 `json:"percentiles"`
	Rows        []point   `json:"rows"`
}

type point struct {
	Row

	Title string    `json:"title"`
	Name  string    `json:"name"`
	Curve []float64 `json:"curve"`
}

func points(rows []Row) []point {
	list := make([]point, len(rows))
	for i, row := range rows {
		list[i] = point{Row: row, Title: row.Title, Name: row.Name(), Curve: row.Curve}
	}
	return list
}

// percent writes a part of a whole, and never rounds something to nothing.
func percent(part, whole int64) string {
	if part == 0 || whole == 0 {
		return ""
	}
	share := 100 * float64(part) / float64(whole)
	return strconv.FormatFloat(max(0.01, math.Round(share*100)/100), 'g', 3, 64) + " %"
}
