// Package scs_test shows the calls of alexedwards/scs next to those of Holdfast that replace them. Each pair runs, and
// both sides have to show the same page.
package scs_test

import (
	"context"
	"encoding/gob"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/examples/migrating/internal/pair"
	"github.com/holdfast-go/holdfast/manager"
)

// The keys of the application with their types. In scs a key is a string, and each call says its type again.
var (
	name    = manager.Key[string]("name")
	admin   = manager.Key[bool]("admin")
	count   = manager.Key[int]("count")
	small   = manager.Key[int32]("small")
	big     = manager.Key[int64]("big")
	ratio   = manager.Key[float64]("ratio")
	picture = manager.Key[[]byte]("picture")
	since   = manager.Key[time.Time]("since")
	cart    = manager.Key[Cart]("cart")
)

// Cart is a value of the application's own.
type Cart struct{ Items []string }

// step is one request.
type step struct {
	name   string
	theirs func(ctx context.Context) any
	ours   func(s *manager.Session) any
	want   any
}

// same takes a browser through the steps on each side.
func same(t *testing.T, sm *scs.SessionManager, m *manager.Manager, steps []step) {
	t.Helper()
	all := make([]pair.Step, len(steps))
	for i, s := range steps {
		theirs := func(_ http.ResponseWriter, r *http.Request) any { return s.theirs(r.Context()) }
		all[i] = pair.Step{Name: s.name, Theirs: theirs, Ours: s.ours, Want: s.want}
	}
	pair.Same(t, sm.LoadAndSave, m, all)
}

// ok is what the page of a request shows that only writes.
const ok = "ok"

var moment = time.Date(2026, time.May, 4, 3, 2, 1, 0, time.UTC)

func TestTypedValues(t *testing.T) {
	t.Parallel()
	gob.Register(time.Time{}) // scs fails to commit without it; Holdfast knows the type of a Key
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	same(t, sm, m, append(putAndGet(sm), pop(sm)...))
}

func putAndGet(sm *scs.SessionManager) []step {
	return []step{
		{
			name: "put",
			theirs: func(ctx context.Context) any {
				sm.Put(ctx, "name", "Ada")
				sm.Put(ctx, "admin", true)
				sm.Put(ctx, "count", 3)
				sm.Put(ctx, "small", int32(4))
				sm.Put(ctx, "big", int64(5))
				sm.Put(ctx, "ratio", 0.5)
				sm.Put(ctx, "picture", []byte("png"))
				sm.Put(ctx, "since", moment)
				return ok
			},
			ours: func(s *manager.Session) any {
				name.Set(s, "Ada")
				admin.Set(s, true)
				count.Set(s, 3)
				small.Set(s, 4)
				big.Set(s, 5)
				ratio.Set(s, 0.5)
				picture.Set(s, []byte("png"))
				since.Set(s, moment)
				return ok
			},
			want: ok,
		},
		{
			name: "get",
			theirs: func(ctx context.Context) any {
				return []any{
					sm.GetString(ctx, "name"), sm.GetBool(ctx, "admin"), sm.GetInt(ctx, "count"),
					sm.GetInt32(ctx, "small"), sm.GetInt64(ctx, "big"), sm.GetFloat(ctx, "ratio"),
					string(sm.GetBytes(ctx, "picture")), sm.GetTime(ctx, "since").Equal(moment),
				}
			},
			ours: func(s *manager.Session) any {
				return []any{
					name.Get(s), admin.Get(s), count.Get(s),
					small.Get(s), big.Get(s), ratio.Get(s),
					string(picture.Get(s)), since.Get(s).Equal(moment),
				}
			},
			want: []any{"Ada", true, 3, 4, 5, 0.5, "png", true},
		},
	}
}

func pop(sm *scs.SessionManager) []step {
	return []step{
		{
			name: "pop",
			theirs: func(ctx context.Context) any {
				return []any{
					sm.PopString(ctx, "name"), sm.PopBool(ctx, "admin"), sm.PopInt(ctx, "count"),
					sm.PopFloat(ctx, "ratio"), string(sm.PopBytes(ctx, "picture")), sm.PopTime(ctx, "since").Equal(moment),
				}
			},
			ours: func(s *manager.Session) any {
				return []any{
					name.Pop(s), admin.Pop(s), count.Pop(s),
					ratio.Pop(s), string(picture.Pop(s)), since.Pop(s).Equal(moment),
				}
			},
			want: []any{"Ada", true, 3, 0.5, "png", true},
		},
		{
			name:   "what was popped is gone, and absent is the zero value",
			theirs: func(ctx context.Context) any { return []any{sm.GetString(ctx, "name"), sm.GetInt(ctx, "count")} },
			ours:   func(s *manager.Session) any { return []any{name.Get(s), count.Get(s)} },
			want:   []any{"", 0},
		},
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	same(t, sm, m, append(putAndLook(sm), removeAndClear(sm)...))
}

func putAndLook(sm *scs.SessionManager) []step {
	return []step{
		{
			name: "put",
			theirs: func(ctx context.Context) any {
				sm.Put(ctx, "name", "Ada")
				sm.Put(ctx, "count", 1)
				sm.Put(ctx, "big", int64(2))
				return int(sm.Status(ctx))
			},
			ours: func(s *manager.Session) any {
				name.Set(s, "Ada")
				count.Set(s, 1)
				big.Set(s, 2)
				return int(s.Status())
			},
			want: 1, // modified, in both
		},
		{
			name: "an untyped get, and whether it is there",
			theirs: func(ctx context.Context) any {
				v, there := sm.Get(ctx, "name").(string)
				return []any{v, there}
			},
			ours: func(s *manager.Session) any {
				v, there, err := name.Lookup(s)
				return []any{v, there && err == nil}
			},
			want: []any{"Ada", true},
		},
		{
			name:   "exists, keys, status",
			theirs: func(ctx context.Context) any { return []any{sm.Exists(ctx, "name"), sm.Keys(ctx), int(sm.Status(ctx))} },
			ours:   func(s *manager.Session) any { return []any{s.Has("name"), s.Keys(), int(s.Status())} },
			want:   []any{true, []string{"big", "count", "name"}, 0},
		},
	}
}

func removeAndClear(sm *scs.SessionManager) []step {
	return []step{
		{
			name: "an untyped pop, and remove",
			theirs: func(ctx context.Context) any {
				sm.Remove(ctx, "count")
				return sm.Pop(ctx, "big")
			},
			ours: func(s *manager.Session) any {
				count.Delete(s) // or s.Delete("count")
				return big.Pop(s)
			},
			want: 2,
		},
		{
			name: "clear",
			theirs: func(ctx context.Context) any {
				before := sm.Keys(ctx)
				_ = sm.Clear(ctx)
				return []any{before, sm.Keys(ctx)}
			},
			ours: func(s *manager.Session) any {
				before := s.Keys()
				s.Clear()
				return []any{before, s.Keys()}
			},
			want: []any{[]string{"name"}, []string{}},
		},
	}
}

// scs sees a change of what a stored pointer, map or slice refers to only after Put. Key.Get hands out a copy, so it
// takes a Set in Holdfast too.
func TestValuesOfTheApplicationsOwnTypes(t *testing.T) {
	t.Parallel()
	sm, m := scs.New(), pair.Manager(t, pair.Redis(t), manager.Config{})
	sm.Codec = jsonCodec{}
	same(t, sm, m, []step{
		{
			name: "read, change, write",
			theirs: func(ctx context.Context) any {
				var c Cart
				decodeInto(sm.Get(ctx, "cart"), &c)
				c.Items = append(c.Items, "pen")
				sm.Put(ctx, "cart", c)
				return ok
			},
			ours: func(s *manager.Session) any {
				c := cart.Get(s)
				c.Items = append(c.Items, "pen")
				cart.Set(s, c)
				return ok
			},
			want: ok,
		},
		{
			name: "read",
			theirs: func(ctx context.Context) any {
				var c Cart
				decodeInto(sm.Get(ctx, "cart"), &c)
				return strings.Join(c.Items, ",")
			},
			ours: func(s *manager.Session) any { return strings.Join(cart.Get(s).Items, ",") },
			want: "pen",
		},
	})
}
