package drills_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

var drill = flag.Bool("drills", false, "run the drills")

// rows are what the drills have found, in their order.
var rows []row

func TestMain(m *testing.M) {
	replica.Main()
	redis.SetLogger(&logging.VoidLogger{}) // it reports what the drills break
	redistest.Main(printing{m})
}

type printing struct{ m *testing.M }

func (p printing) Run() int {
	code := p.m.Run()
	if len(rows) > 0 {
		print(os.Stdout, rows)
	}
	return code
}

// row is what users saw of one fault.
type row struct {
	name      string
	requests  int
	errors    map[string]int
	troubled  int           // users who saw one
	until     time.Duration // from the fault to the last error
	gap, wait time.Duration
	lost      int64
}

func (w *workload) row(name string) row {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := row{name: name, requests: w.requests, errors: maps.Clone(w.errors), gap: w.gap, wait: w.wait, lost: w.lost}
	if len(r.errors) > 0 {
		r.until = w.lastError.Sub(w.since)
	}
	for _, u := range w.users {
		if u.troubled {
			r.troubled++
		}
	}
	return r
}

// seen are the errors by name and number, for instance "12 unavailable, 3 no answer".
func (r row) seen() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.errors)) {
		all = append(all, fmt.Sprintf("%d %s", r.errors[name], name))
	}
	if all == nil {
		return "0"
	}
	return strings.Join(all, ", ")
}

// print writes the table of docs/failures.md.
func print(w io.Writer, rows []row) {
	fmt.Fprintln(w, "\n| drill | requests | errors | users who saw one | last error after | longest time without an acknowledged write | the same, for one user | acknowledged updates lost |")
	fmt.Fprintln(w, "|---|---:|---|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		until := ""
		if r.until > 0 {
			until = seconds(r.until)
		}
		fmt.Fprintf(w, "| %s | %d | %s | %d | %s | %s | %s | %d |\n", r.name, r.requests, r.seen(), r.troubled, until, seconds(r.gap), seconds(r.wait), r.lost)
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
