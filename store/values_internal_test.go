package store

import (
	"strconv"
	"testing"
	"time"
)

// Clear of a large session takes as long as filling it did. Comparing each key with each other would take minutes.
func TestManyValuesAreDeleted(t *testing.T) {
	t.Parallel()
	const n = 300_000
	values, deleted := make(map[string]Value, n), make([]string, 0, n)
	for i := range n {
		key := strconv.Itoa(i)
		values[key] = Value{Stamp: "1.a", Data: key}
		if i%3 > 0 {
			deleted = append(deleted, key)
		}
	}
	all := NewValues(values)
	done := make(chan Values, 1)
	go func() {
		done <- all.with(map[string]Write{"3": {Data: "again"}, "1": {Data: "set and deleted"}, "new": {}}, "2.b", 0, deleted)
	}()
	select {
	case left := <-done:
		if left.Len() != n/3+1 || left.At("3").Data != "again" || left.At("6").Data != "6" {
			t.Errorf("%d values are left, %+v", left.Len(), left.At("3"))
		}
		if _, there := left.Get("1"); there {
			t.Error("a deleted value is there")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it takes longer than in proportion")
	}
}
