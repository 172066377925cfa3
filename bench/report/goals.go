package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Goal is a bound that the project sets itself for one figure of a run.
type Goal struct {
	Workload string   `json:"workload"` // title of the rows
	Subjects []string `json:"subjects"` // names of rows; the best of them counts
	Figure   string   `json:"figure"`   // as the JSON of a row names it
	Of       string   `json:"of"`       // divide by this subject's figure; empty takes the figure as it is
	RTTMicro float64  `json:"rtt_us"`   // only of runs with this -rtt
	Least    float64  `json:"least"`    // exactly one of the bounds is set
	Most     float64  `json:"most"`
}

// Verdict is what a run says about a goal.
type Verdict struct {
	Goal

	Ran      bool // the run has the rows for it
	Measured float64
}

// Met tells whether the goal was reached.
func (v Verdict) Met() bool {
	return v.Ran && (v.Least > 0 && v.Measured >= v.Least || v.Most > 0 && v.Measured <= v.Most)
}

// ReadGoals reads a JSON list of goals.
func ReadGoals(text []byte) ([]Goal, error) {
	var goals []Goal
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&goals); err != nil {
		return nil, fmt.Errorf("read goals: %w", err)
	}
	known, err := figuresOf(Row{})
	if err != nil {
		return nil, err
	}
	for _, g := range goals {
		switch _, ok := known[g.Figure]; {
		case !ok:
			return nil, fmt.Errorf("goal for %q: rows have no figure %q", g.Workload, g.Figure)
		case g.Workload == "" || len(g.Subjects) == 0:
			return nil, fmt.Errorf("goal for %q: set workload and subjects", g.Workload)
		case g.Least > 0 == (g.Most > 0):
			return nil, fmt.Errorf("goal for %q: set either least or most", g.Workload)
		}
	}
	return goals, nil
}

// Judge compares a run with the goals.
func Judge(run *Run, goals []Goal) ([]Verdict, error) {
	list := make([]Verdict, 0, len(goals))
	for _, g := range goals {
		v := Verdict{Goal: g}
		for _, subject := range g.Subjects {
			measured, ok, err := run.measured(g, subject)
			if err != nil {
				return nil, err
			}
			if ok && (!v.Ran || g.Least > 0 && measured > v.Measured || g.Most > 0 && measured < v.Measured) {
				v.Ran, v.Measured = true, measured
			}
		}
		list = append(list, v)
	}
	return list, nil
}

// measured is the figure of a goal for one of its subjects.
func (r *Run) measured(g Goal, subject string) (float64, bool, error) {
	these, ok := r.row(g.Workload, subject)
	if !ok || r.RTTMicro != g.RTTMicro {
		return 0, false, nil
	}
	if g.Of != "" && g.Figure == "ops_per_s" {
		ratio := these.Vs[g.Of] // of slices of the same round
		return ratio, ratio > 0, nil
	}
	figures, err := figuresOf(these)
	if err != nil || g.Of == "" {
		return figures[g.Figure], err == nil, err
	}
	those, ok := r.row(g.Workload, g.Of)
	if !ok {
		return 0, false, nil
	}
	divisor, err := figuresOf(those)
	if err != nil || divisor[g.Figure] == 0 {
		return 0, false, err
	}
	return figures[g.Figure] / divisor[g.Figure], true, nil
}

func (r *Run) row(title, name string) (Row, bool) {
	i := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Title == title && row.Name() == name && row.Ops > 0 })
	if i < 0 {
		return Row{}, false
	}
	return r.Rows[i], true
}

// figuresOf are the numbers of a row by their names in JSON.
func figuresOf(row Row) (map[string]float64, error) {
	text, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	figures := make(map[string]float64)
	for name, v := range fields {
		if number, ok := v.(float64); ok {
			figures[name] = number
		}
	}
	return figures, nil
}

// Goals writes the verdicts as a table, and returns how many goals the run reached and missed.
func Goals(w io.Writer, list []Verdict) (met, missed int, err error) {
	p := &printer{w: w}
	p.heading("workload", "figure", "goal", "measured", "")
	for _, v := range list {
		what, bound, word := v.Subjects[0]+": "+v.Figure, fmt.Sprintf("at least %.4g", v.Least), "not run"
		if len(v.Subjects) > 1 {
			what = "best " + what
		}
		if v.Of != "" {
			what += " / " + v.Of
		}
		if v.Most > 0 {
			bound = fmt.Sprintf("at most %.4g", v.Most)
		}
		measured := ""
		switch {
		case v.Met():
			met++
			measured, word = fmt.Sprintf("%.3g", v.Measured), "met"
		case v.Ran:
			missed++
			measured, word = fmt.Sprintf("%.3g", v.Measured), "**missed**"
		}
		p.line(v.Workload, what, bound, measured, word)
	}
	return met, missed, p.err
}
