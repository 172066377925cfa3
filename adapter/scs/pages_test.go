package scs_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"net/http"
	"testing"
	"time"

	theirs "github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/adapter/scs"
)

// page is what a handler does in one request. What it returns is the body.
type page func(s api, ctx context.Context) any

// settings are applied to both sides.
type settings struct {
	theirs func(*theirs.SessionManager)
	ours   func(*scs.SessionManager)
}

// both returns one browser on each side, whose pages are called by their number.
func both(t *testing.T, set settings, pages ...page) (left, right *browser) {
	t.Helper()
	sm, s := theirs.New(), start(t)
	if set.theirs != nil {
		set.theirs(sm)
	}
	if set.ours != nil {
		set.ours(s)
	}
	serve := func(a api) *browser {
		mux := http.NewServeMux()
		for i, p := range pages {
			mux.HandleFunc(fmt.Sprintf("/%d", i), func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, p(a, r.Context())) })
		}
		return visit(t, a.LoadAndSave(mux))
	}
	return serve(sm), serve(s)
}

type pen struct {
	Color string
	Left  []int
}

type nib struct{ Width int }

func init() { //nolint:gochecknoinits // as applications of scs do
	gob.Register(pen{})
	gob.Register(&nib{})
	gob.Register(map[string]int{})
	gob.Register(time.Time{})
	gob.Register(raw(""))
}

var moment = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

// put stores one value of each type.
func put(s api, ctx context.Context) any {
	s.Put(ctx, "string", "a")
	s.Put(ctx, "bool", true)
	s.Put(ctx, "int", 1)
	s.Put(ctx, "int64", int64(2))
	s.Put(ctx, "int32", int32(3))
	s.Put(ctx, "float", 1.5)
	s.Put(ctx, "bytes", []byte("b"))
	s.Put(ctx, "time", moment)
	s.Put(ctx, "struct", pen{"red", []int{1}})
	s.Put(ctx, "pointer", &nib{Width: 2})
	s.Put(ctx, "map", map[string]int{"a": 1, "b": 2})
	return s.Keys(ctx)
}

func types(s api, ctx context.Context) any {
	var text []string
	for _, key := range s.Keys(ctx) {
		text = append(text, fmt.Sprintf("%s %T", key, s.Get(ctx, key)))
	}
	return text
}

func getters(s api, ctx context.Context) any {
	var text []string
	for _, key := range append(s.Keys(ctx), "absent") {
		text = append(text, fmt.Sprint(key, s.GetString(ctx, key), s.GetBool(ctx, key), s.GetInt(ctx, key), s.GetInt64(ctx, key),
			s.GetInt32(ctx, key), s.GetFloat(ctx, key), s.GetBytes(ctx, key), s.GetTime(ctx, key), s.Exists(ctx, key)))
	}
	return text
}

func poppers(s api, ctx context.Context) any {
	return fmt.Sprint(s.PopString(ctx, "string"), s.PopBool(ctx, "bool"), s.PopInt(ctx, "int"), s.PopFloat(ctx, "float"),
		s.PopBytes(ctx, "bytes"), s.PopTime(ctx, "time"), s.Pop(ctx, "int64"), s.PopString(ctx, "absent"), s.PopInt(ctx, "struct"), s.Keys(ctx))
}

func keys(s api, ctx context.Context) any { return fmt.Sprintf("%#v", s.Keys(ctx)) }

func count(s api, ctx context.Context) any {
	n := s.GetInt(ctx, "n") + 1
	s.Put(ctx, "n", n)
	return n
}

// cart is found, or made, and then changed in place.
func cart(s api, ctx context.Context) any {
	c, ok := s.Get(ctx, "cart").(map[string]int)
	if !ok {
		c = map[string]int{}
		s.Put(ctx, "cart", c)
	}
	c["pen"]++
	return s.Get(ctx, "cart")
}

func status(s api) func(context.Context) int {
	switch s := s.(type) {
	case *theirs.SessionManager:
		return func(ctx context.Context) int { return int(s.Status(ctx)) }
	case *scs.SessionManager:
		return func(ctx context.Context) int { return int(s.Status(ctx)) }
	}
	panic("no such side")
}

func until(d time.Time) string { return time.Until(d).Round(time.Minute).String() }
