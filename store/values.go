package store

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"
)

// Value is one key's encoded value.
type Value struct {
	// Stamp is that of the commit that wrote the value.
	Stamp string

	// Expires is when the value expires. Zero means never.
	Expires Time

	// Data is the value as its codec wrote it.
	Data string
}

// Values are the values of a session by key. They do not change once they are part of a record.
// They are stored as a list, which takes a third of the memory of a map, since most sessions have
// few values.
type Values struct{ list []keyed } // sorted by key

type keyed struct {
	key string
	Value
}

// NewValues returns the values of a map. It copies all strings.
func NewValues(values map[string]Value) Values {
	var vs Values
	for key, v := range values {
		v.Stamp, v.Data = strings.Clone(v.Stamp), strings.Clone(v.Data)
		vs.list = append(vs.list, keyed{strings.Clone(key), v})
	}
	vs.sort()
	return vs
}

func (vs Values) sort() {
	slices.SortFunc(vs.list, func(a, b keyed) int { return cmp.Compare(a.key, b.key) })
}

func (vs Values) find(key string) (int, bool) {
	return slices.BinarySearchFunc(vs.list, key, func(e keyed, key string) int { return cmp.Compare(e.key, key) })
}

// Len returns the number of values.
func (vs Values) Len() int { return len(vs.list) }

// Get returns the value of a key.
func (vs Values) Get(key string) (Value, bool) {
	if i, ok := vs.find(key); ok {
		return vs.list[i].Value, true
	}
	return Value{}, false
}

// At returns the value of a key, or the zero Value if there is none.
func (vs Values) At(key string) Value {
	v, _ := vs.Get(key)
	return v
}

// All iterates over the values in the order of their keys.
func (vs Values) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for _, e := range vs.list {
			if !yield(e.key, e.Value) {
				return
			}
		}
	}
}

// with returns the values with some set, by the commit of a stamp at a time, and some deleted.
func (vs Values) with(set map[string]Write, stamp string, at Time, deleted []string) Values {
	list := append(make([]keyed, 0, len(vs.list)+len(set)), vs.list...)
	for key, w := range set {
		v := Value{Stamp: stamp, Data: strings.Clone(w.Data)}
		if w.For > 0 {
			v.Expires = at.Add(max(time.Millisecond, w.For))
		}
		if i, there := vs.find(key); there {
			list[i].Value = v
		} else {
			list = append(list, keyed{strings.Clone(key), v})
		}
	}
	if len(deleted) > 0 {
		sorted := slices.Sorted(slices.Values(deleted)) // there may be as many as values
		list = slices.DeleteFunc(list, func(e keyed) bool { _, gone := slices.BinarySearch(sorted, e.key); return gone })
	}
	out := Values{list}
	if len(list) > len(vs.list) || len(deleted) > 0 { // else the keys are the same
		out.sort()
	}
	return out
}

// Counter returns the counting part of the version whose commit wrote the value.
func (v *Value) Counter() uint64 { return counterOf(v.Stamp) }
