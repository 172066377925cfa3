package manager

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// onRecord is a request's view of a record with the keys a and b, b of which has expired.
func onRecord(mode Mode) *changes {
	at := time.Now()
	rec := &store.Record{ID: "id", Version: "1.x", Epoch: "1.e", KeySet: "1.k", Values: store.NewValues(map[string]store.Value{
		"a": {Stamp: "1.a", Data: "1"},
		"b": {Stamp: "1.b", Data: "2", Expires: store.TimeOf(at.Add(-time.Second))},
	})}
	return &changes{rules: &policy{}, on: opened{rec: rec, mode: mode, clock: clock{at, at}}}
}

func TestChangesOfValues(t *testing.T) {
	t.Parallel()
	set := func(key, data string) func(*changes) { return func(c *changes) { c.set(key, change{data: data}) } }
	del := func(key string) func(*changes) { return func(c *changes) { c.set(key, change{deleted: true}) } }
	tests := map[string]struct {
		do      []func(*changes)
		changed map[string]change
		names   []string
		reads   map[string]string
	}{
		"nothing":                {names: []string{"a"}},
		"new":                    {do: []func(*changes){set("c", "3")}, changed: map[string]change{"c": {data: "3"}}, names: []string{"a", "c"}, reads: map[string]string{"c": ""}},
		"other":                  {do: []func(*changes){set("a", "3")}, changed: map[string]change{"a": {data: "3"}}, names: []string{"a"}, reads: map[string]string{"a": "1.a"}},
		"same":                   {do: []func(*changes){set("a", "1")}, names: []string{"a"}, reads: map[string]string{"a": "1.a"}},
		"other and back":         {do: []func(*changes){set("a", "3"), set("a", "1")}, names: []string{"a"}, reads: map[string]string{"a": "1.a"}},
		"deleted":                {do: []func(*changes){del("a")}, changed: map[string]change{"a": {deleted: true}}, reads: map[string]string{"a": "1.a"}},
		"deleted and back":       {do: []func(*changes){del("a"), set("a", "1")}, names: []string{"a"}, reads: map[string]string{"a": "1.a"}},
		"absent, deleted":        {do: []func(*changes){del("c")}, names: []string{"a"}, reads: map[string]string{"c": ""}},
		"new and deleted":        {do: []func(*changes){set("c", "3"), del("c")}, names: []string{"a"}, reads: map[string]string{"c": ""}},
		"expired, deleted":       {do: []func(*changes){del("b")}, names: []string{"a"}, reads: map[string]string{"b": "1.b"}},
		"expired, set to before": {do: []func(*changes){set("b", "2")}, changed: map[string]change{"b": {data: "2"}}, names: []string{"a", "b"}, reads: map[string]string{"b": "1.b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []Mode{Exclusive, Optimistic} {
				c := onRecord(mode)
				for _, do := range test.do {
					do(c)
				}
				if !maps.Equal(c.values, test.changed) {
					t.Errorf("%v: changed %v, want %v", mode, c.values, test.changed)
				}
				if got := c.names(""); !slices.Equal(got, test.names) {
					t.Errorf("%v: keys %q, want %q", mode, got, test.names)
				}
				if mode == Optimistic && !maps.Equal(c.reads, test.reads) || mode != Optimistic && c.reads != nil {
					t.Errorf("%v: depends on %v, want %v", mode, c.reads, test.reads)
				}
			}
		})
	}
}

// A request that takes the lock late goes on if nothing that it has read has changed.
func TestOutdated(t *testing.T) {
	t.Parallel()
	with := func(change func(*store.Record)) opened {
		rec := *onRecord(Exclusive).on.rec
		rec.Version = "2.y"
		change(&rec)
		return opened{rec: &rec}
	}
	readA := func(c *changes) { c.entry("a") }
	readKeys := func(c *changes) { c.names("") }
	tests := map[string]struct {
		mode Mode
		read func(*changes)
		now  opened
		want error
	}{
		"as it was": {Optimistic, readA, with(func(*store.Record) {}), nil},
		"what was read": {Optimistic, readA, with(func(r *store.Record) {
			r.Values = store.NewValues(map[string]store.Value{"a": {Stamp: "2.y", Data: "9"}})
		}), ErrConflict},
		"keys, of which none read": {Optimistic, readA, with(func(r *store.Record) { r.KeySet = "2.y" }), nil},
		"keys":                     {Optimistic, readKeys, with(func(r *store.Record) { r.KeySet = "2.y" }), ErrConflict},
		"another user":             {Optimistic, readA, with(func(r *store.Record) { r.Epoch = "2.y" }), ErrConflict},
		"rotated":                  {Optimistic, readA, opened{superseded: true}, ErrConflict},
		"ended":                    {Optimistic, readA, opened{}, ErrRemoved},
		"ended, read only":         {ReadOnly, readA, opened{}, nil},
		"ended by the request":     {Optimistic, func(c *changes) { c.end(destroyed) }, opened{}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := onRecord(test.mode)
			test.read(c)
			if err := c.outdated(&test.now); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
