// Package report holds the results of a run and writes them: as a table for the
// terminal, as JSON for programs, as a page with charts.
package report

import "time"

// Run is everything that was measured.
type Run struct {
	Backend  string        `json:"backend"`
	Real     bool          `json:"real"` // a redis-server, not one inside the process
	Rounds   int           `json:"rounds"`
	RTTMicro float64       `json:"rtt_us"`    // added by -rtt, zero without
	Pool     int           `json:"pool_size"` // of every client where the scenario sets none
	CPUs     int           `json:"cpus"`
	Go       string        `json:"go"`
	System   string        `json:"system"`
	Took     time.Duration `json:"-"`
	Cut      bool          `json:"cut"` // interrupted before its end
	Settings []Setting     `json:"settings"`
	Warnings []string      `json:"warnings"` // what went wrong on the way
	Rows     []Row         `json:"rows"`
}

// Setting is what was chosen for one subject.
type Setting struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Row is one contender in one configuration. Figures per operation and rates
// are medians of the rounds; counts are sums; percentiles are over all rounds.
// A figure that could not be taken, or makes no sense for the row, is zero.
type Row struct {
	Scenario    string  `json:"scenario"`
	Subject     string  `json:"subject"`
	Workers     int     `json:"workers"`
	Nodes       int     `json:"nodes"`
	Tabs        int     `json:"tabs"`
	Payload     int     `json:"payload"`
	HoldMicro   float64 `json:"hold_us"`
	Mode        string  `json:"mode"`
	Ops         int64   `json:"ops"`
	OpsPerS     float64 `json:"ops_per_s"`
	P50Micro    float64 `json:"p50_us"`
	P99Micro    float64 `json:"p99_us"`
	MaxMicro    float64 `json:"max_us"`
	Lost        int64   `json:"lost"`
	Resurrected int64   `json:"resurrected"`
	RoundTrips  float64 `json:"round_trips"`
	RedisMicro  float64 `json:"redis_cpu_us"`
	ClientMicro float64 `json:"client_cpu_us"`
	Allocs      float64 `json:"allocs"`
	Bytes       float64 `json:"bytes"` // on the wire per operation; for memory, on the heap per session
	VsSCS       float64 `json:"vs_scs"`
	VsLimit     float64 `json:"vs_limit"`
	FIFORatio   float64 `json:"fifo_ratio"`

	Variant      string             `json:"variant"`
	Acknowledged int64              `json:"acknowledged"` // increments that lost is counted among, those outside the rounds included
	Removed      int64              `json:"removed"`      // sessions that resurrected is counted among
	P999Micro    float64            `json:"p999_us"`
	Spread       float64            `json:"spread"` // of ops_per_s: highest less lowest round, by the median
	VsSCSRange   [2]float64         `json:"vs_scs_range"`
	VsLimitRange [2]float64         `json:"vs_limit_range"`
	Vs           map[string]float64 `json:"vs"` // as VsSCS, for each subject with a row of this title
	Errors       int64              `json:"errors"`
	FirstError   string             `json:"first_error,omitempty"`

	// Title names the configuration; rows of one title belong side by side.
	Title string `json:"-"`
	// Curve is the latency at each of Percentiles.
	Curve []float64 `json:"-"`
}

// Percentiles are the points of a latency curve.
var Percentiles = []float64{10, 25, 50, 75, 90, 95, 99, 99.9, 100}

// Micro is a duration in the unit of the rows.
func Micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Failed returns the rows of one subject that have errors.
func (r *Run) Failed(subject string) []Row {
	var found []Row
	for _, row := range r.Rows {
		if row.Subject == subject && row.Errors > 0 {
			found = append(found, row)
		}
	}
	return found
}

// Unsafe returns the rows of one subject that lost updates or brought sessions back.
func (r *Run) Unsafe(subject string) []Row {
	var found []Row
	for _, row := range r.Rows {
		if row.Subject == subject && (row.Lost > 0 || row.Resurrected > 0) {
			found = append(found, row)
		}
	}
	return found
}
