package docs_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// sizeRow is a row of the table of operations.md: the bytes of a session's values, and what Redis needs for it.
var sizeRow = regexp.MustCompile(`(?m)^\| ([0-9,]+) B in ([0-9]+) values? \| ([0-9,]+) B \| ([0-9,]+) B \|$`)

// What operations.md says of memory is what Redis says.
func TestOperationsSizes(t *testing.T) {
	t.Parallel()
	rows := sizeRow.FindAllStringSubmatch(page(t, "operations.md"), -1)
	if len(rows) < 4 {
		t.Fatalf("operations.md has %d rows of sizes", len(rows))
	}
	for _, row := range rows {
		rdb := redistest.Start(t).Client(t)
		m, err := manager.New(rdb, &manager.Config{IdleTimeout: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		record, all := sizes(t, m, rdb, number(t, row[1]), number(t, row[2]))
		t.Logf("%s B in %s: record %d, all %d", row[1], row[2], record, all)
		for i, got := range []int{record, all} {
			if said := number(t, row[3+i]); got < said*8/10 || got > said*12/10 {
				t.Errorf("%s: measured %d B, the page says %d", strings.TrimSpace(row[0]), got, said)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := m.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// sizes returns what the record of a session needs, and by how much Redis' memory grows for each session of a user of
// its own, everything included.
func sizes(t *testing.T, m *manager.Manager, rdb *redis.Client, size, values int) (record, all int) {
	t.Helper()
	ctx := t.Context()
	const sessions = 2000
	before := usedMemory(t, rdb)
	for i := range sessions {
		id, err := m.Create(ctx, func(s *manager.Session) error {
			s.BindUser(fmt.Sprintf("user-%d@example.org", i))
			for v := range values {
				manager.Key[string](fmt.Sprintf("value-%d", v)).Set(s, strings.Repeat("x", size/values-2)) // and two quotes
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			n, err := rdb.MemoryUsage(ctx, "holdfast:{"+id+"}", 0).Result()
			if err != nil {
				t.Fatal(err)
			}
			record = int(n)
		}
	}
	return record, (usedMemory(t, rdb) - before) / sessions
}

func usedMemory(t *testing.T, rdb *redis.Client) int {
	t.Helper()
	info, err := rdb.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	return number(t, regexp.MustCompile(`used_memory:([0-9]+)`).FindStringSubmatch(info)[1])
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
