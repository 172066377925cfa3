package faults_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

var ops = flag.Int("faults.ops", 0, "inject every fault, and check so many operations under each, at least")

// long skips a fault that takes seconds to inject, unless all are wanted.
func long(t *testing.T) {
	t.Helper()
	if *ops == 0 {
		t.Skip("takes seconds; -faults.ops 1000 includes it, and so does make proof")
	}
}

// table is what this run has found. It is printed at the end.
var table struct {
	mu   sync.Mutex
	rows []history.Row
}

func TestMain(m *testing.M) {
	replica.Main()
	redis.SetLogger(&logging.VoidLogger{}) // it reports what the tests break
	redistest.Main(printing{m})
}

type printing struct{ m *testing.M }

func (p printing) Run() int {
	code := p.m.Run()
	if len(table.rows) > 0 {
		fmt.Fprintln(os.Stdout)
		history.Table(os.Stdout, table.rows)
	}
	return code
}

func addRow(t *testing.T, r history.Row) {
	t.Helper()
	table.mu.Lock()
	table.rows = append(table.rows, r)
	table.mu.Unlock()
	if err := r.Append(); err != nil {
		t.Error(err)
	}
}
