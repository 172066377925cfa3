package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Values after a change are what a map would be, and in order.
func TestValuesWith(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	some := func() string { return fmt.Sprint(rng.IntN(12)) }
	for range 2000 {
		old, set := map[string]Value{}, map[string]Value{}
		var deleted []string
		for range rng.IntN(10) {
			old[some()] = Value{Data: "old"}
		}
		for range rng.IntN(10) {
			set[some()] = Value{Data: "new"}
		}
		for range rng.IntN(10) {
			deleted = append(deleted, some())
		}
		before := slices.Clone(deleted)
		want := maps.Clone(old)
		maps.Copy(want, set)
		for _, key := range deleted {
			delete(want, key)
		}
		vs := NewValues(old).with(set, deleted)
		got := maps.Collect(vs.All())
		if !maps.Equal(got, want) || vs.Len() != len(want) || !slices.Equal(deleted, before) {
			t.Fatalf("%v with %v without %v: %v", old, set, deleted, got)
		}
		if !slices.IsSortedFunc(vs.list, func(a, b keyed) int { return strings.Compare(a.key, b.key) }) {
			t.Fatalf("not sorted: %v", vs.list)
		}
	}
}

// Ten times the keys take ten times the comparisons.
func TestMergeIsLinear(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2_000, 20_000} {
		old, set, deleted := make([]keyed, n), make([]keyed, n), make([]string, n)
		for i := range n {
			old[i].key, set[i].key, deleted[i] = fmt.Sprintf("%09d", 2*i), fmt.Sprintf("%09d", 2*i+1), fmt.Sprintf("%09d", 2*i)
		}
		compared := 0
		left := merge(old, set, deleted, func(a, b string) int { compared++; return strings.Compare(a, b) })
		if len(left) != n || compared > 6*n {
			t.Errorf("%d keys: %d comparisons, %d left", n, compared, len(left))
		}
	}
}
