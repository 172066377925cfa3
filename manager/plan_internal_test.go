package manager

import (
	"errors"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// planned is what a row of the table looks at.
type planned struct {
	status Status
	remove bool
	mode   store.Mode // of what is written; empty: nothing
	rotate store.Rule
	id     string // written; "new" for one that the table does not know
	token  string // "new", "old" or none
	err    error
}

// plannedAt is the time of the server when the plans are made.
var plannedAt = time.Now()

func recordOf(age time.Duration) *store.Record {
	at := func(ago time.Duration) store.Time { return store.TimeOf(plannedAt.Add(-ago)) }
	return &store.Record{ID: "id", Version: "1.x", User: "u", Created: at(age), Issued: at(age), Deadline: at(-time.Hour)}
}

var (
	setK    = func(c *changes) { c.set("k", change{data: "1"}) }
	rotate  = func(c *changes) { c.meta.rotate = true }
	destroy = func(c *changes) { c.end(destroyed) }
	revoke  = func(c *changes) { c.end(revoked) }
	discard = (*changes).discard
)

var plans = map[string]struct {
	rec    *store.Record
	mode   Mode // Exclusive unless set
	late   bool // the response has begun
	opened func(*opened)
	do     []func(*changes)
	want   planned
}{
	"nothing, no session":     {want: planned{status: Unmodified}},
	"nothing, a session":      {rec: recordOf(0), want: planned{status: Unmodified}},
	"first value":             {do: []func(*changes){setK}, want: planned{status: Modified, mode: store.Create, id: "new", token: "new"}},
	"first value, too late":   {late: true, do: []func(*changes){setK}, want: planned{status: Modified, mode: store.Create, id: "new", err: ErrCommitted}},
	"value":                   {rec: recordOf(0), do: []func(*changes){setK}, want: planned{status: Modified, mode: store.Whole, id: "id"}},
	"value, late":             {rec: recordOf(0), late: true, do: []func(*changes){setK}, want: planned{status: Modified, mode: store.Whole, id: "id"}},
	"value, optimistic":       {rec: recordOf(0), mode: Optimistic, do: []func(*changes){setK}, want: planned{status: Modified, mode: store.Keys, id: "id"}},
	"rotate":                  {rec: recordOf(0), do: []func(*changes){rotate}, want: planned{status: Modified, mode: store.Whole, rotate: store.Privilege, id: "id", token: "new"}},
	"rotate, too late":        {rec: recordOf(0), late: true, do: []func(*changes){rotate}, want: planned{status: Modified, mode: store.Whole, rotate: store.Privilege, id: "id", err: ErrCommitted}},
	"rotate no session":       {do: []func(*changes){rotate}, want: planned{status: Unmodified}},
	"old token":               {rec: recordOf(2 * time.Minute), want: planned{status: Unmodified, mode: store.Whole, rotate: store.Periodic, id: "id", token: "new"}},
	"old token, read only":    {rec: recordOf(2 * time.Minute), mode: ReadOnly, want: planned{status: Unmodified}},
	"destroy":                 {rec: recordOf(0), do: []func(*changes){destroy}, want: planned{status: Destroyed, remove: true}},
	"destroy no session":      {do: []func(*changes){destroy}, want: planned{status: Destroyed}},
	"value, destroy":          {rec: recordOf(0), do: []func(*changes){setK, destroy}, want: planned{status: Destroyed, remove: true}},
	"destroy, value":          {rec: recordOf(0), do: []func(*changes){destroy, setK}, want: planned{status: Modified, remove: true, mode: store.Create, id: "new", token: "new"}},
	"destroy, value, destroy": {rec: recordOf(0), do: []func(*changes){destroy, setK, destroy}, want: planned{status: Destroyed, remove: true}},
	"destroy, rotate":         {rec: recordOf(0), do: []func(*changes){destroy, rotate}, want: planned{status: Destroyed, remove: true}},
	"destroy, value set and deleted": {
		rec: recordOf(0), do: []func(*changes){destroy, setK, func(c *changes) { c.set("k", change{deleted: true}) }},
		want: planned{status: Destroyed, remove: true},
	},
	"destroy, discard":  {rec: recordOf(0), do: []func(*changes){destroy, discard}, want: planned{status: Unmodified}},
	"discard, value":    {rec: recordOf(0), do: []func(*changes){discard, setK}, want: planned{status: Unmodified}},
	"discard, destroy":  {rec: recordOf(0), do: []func(*changes){discard, destroy}, want: planned{status: Unmodified}},
	"revoked":           {rec: recordOf(0), do: []func(*changes){revoke}, want: planned{status: Destroyed}},
	"revoked, destroy":  {rec: recordOf(0), do: []func(*changes){revoke, destroy}, want: planned{status: Destroyed}},
	"revoked, value":    {rec: recordOf(0), do: []func(*changes){revoke, setK}, want: planned{status: Modified, mode: store.Create, id: "new", token: "new"}},
	"superseded, value": {opened: func(o *opened) { o.superseded = true }, do: []func(*changes){setK}, want: planned{status: Unmodified}},
	"other lifetime": {
		rec: recordOf(0), do: []func(*changes){func(c *changes) { d := time.Hour; c.meta.lifetime = &d }},
		want: planned{status: Modified, mode: store.Whole, id: "id", token: "old"},
	},
	"same user":  {rec: recordOf(0), do: []func(*changes){func(c *changes) { c.bind("u") }}, want: planned{status: Unmodified}},
	"other user": {rec: recordOf(0), do: []func(*changes){func(c *changes) { c.bind("v") }}, want: planned{status: Modified, mode: store.Whole, id: "id"}},
	"too large": {
		rec: recordOf(0), do: []func(*changes){func(c *changes) { c.set("k", change{data: string(make([]byte, 2000))}) }},
		want: planned{status: Modified, mode: store.Whole, id: "id", err: ErrTooLarge},
	},
}

// Every plan follows from what was opened, what was changed, and the policy: no Redis, no HTTP, no clock but the record's.
func TestPlan(t *testing.T) {
	t.Parallel()
	rules := policy{cfg: Config{Lifetime: time.Hour, RotateEvery: time.Minute, MaxSessionBytes: 1000}}
	for name, test := range plans {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := changes{rules: &rules, on: opened{rec: test.rec, mode: test.mode, clock: clock{plannedAt, time.Now()}}}
			if test.mode == 0 {
				c.on.mode = Exclusive
			}
			if test.opened != nil {
				test.opened(&c.on)
			}
			for _, do := range test.do {
				do(&c)
			}
			if c.base() == nil {
				c.createID = "fresh"
			}
			before := c.on
			p, err := c.plan(demand{token: token{id: "id", text: "id.secret"}, answered: test.late})
			if got := look(&c, &p, err); got != test.want {
				t.Errorf("planned %+v, want %+v", got, test.want)
			}
			if !errors.Is(err, test.want.err) {
				t.Errorf("error %v, want %v", err, test.want.err)
			}
			if c.on != before {
				t.Error("the plan has changed what was opened")
			}
		})
	}
}

func look(c *changes, p *plan, err error) planned {
	got := planned{status: c.status(), remove: p.remove != nil}
	if w := p.write; w != nil {
		got.mode, got.rotate, got.id = w.Mode, w.Rotate, w.ID
	}
	if got.id == "fresh" {
		got.id = "new"
	}
	switch p.token {
	case "":
	case "id.secret":
		got.token = "old"
	default:
		got.token = "new"
	}
	for _, known := range []error{ErrCommitted, ErrTooLarge} {
		if errors.Is(err, known) {
			got.err = known
		}
	}
	return got
}
