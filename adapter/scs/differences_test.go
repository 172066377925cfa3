package scs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	theirs "github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/adapter/scs"
	"github.com/holdfast-go/holdfast/manager"
)

// difference is a program that scs and this package answer differently, under the name that doc.go gives it.
type difference struct {
	name      string
	set       settings
	pages     []page
	scs, here string // the last page, and what the response sets
	shownBy   string // where pages alone cannot show it
}

// idle ends sessions that are not used.
var idle = settings{
	theirs: func(s *theirs.SessionManager) { s.IdleTimeout = time.Hour },
	ours:   func(s *scs.SessionManager) { s.IdleTimeout = time.Hour },
}

// unretained is for pages that change their own session without the context of their request. One that began on a retained lock
// is refused for that; which ones do depends on when they come.
var unretained = settings{ours: func(s *scs.SessionManager) { s.Config.Retain = -1 }}

// differences are all there are, in the order of doc.go.
var differences = []difference{
	{name: "Equal value", pages: []page{count, func(s api, ctx context.Context) any { s.Put(ctx, "n", 1); return status(s)(ctx) }}, scs: `200 "1" cookie`, here: `200 "0"`},
	{name: "Same token", pages: []page{count, count}, scs: `200 "2" cookie`, here: `200 "2"`},
	{name: "Idle timeout", set: idle, pages: []page{count, func(s api, ctx context.Context) any { return []int{s.GetInt(ctx, "n"), status(s)(ctx)} }}, scs: `200 "[1 1]" cookie`, here: `200 "[1 0]"`},
	{name: "Empty session", pages: []page{func(s api, ctx context.Context) any { return s.RenewToken(ctx) }}, scs: `200 "<nil>" cookie`, here: `200 "<nil>"`},
	{name: "Token after RenewToken", pages: []page{count, func(s api, ctx context.Context) any { return []any{s.RenewToken(ctx), s.Token(ctx) == ""} }}, scs: `200 "[<nil> false]" cookie`, here: `200 "[<nil> true]" cookie`},
	{name: "Destroy", pages: []page{count, func(s api, ctx context.Context) any {
		token := s.Token(ctx)
		err := s.Destroy(ctx)
		other, _ := s.Load(context.Background(), token)
		return []any{err, s.GetInt(other, "n")}
	}}, scs: `200 "[<nil> 0]" cookie`, here: `200 "[<nil> 1]" cookie`},
	{name: "Failed commit", pages: []page{func(s api, ctx context.Context) any { s.Put(ctx, "f", func() {}); return "thank you" }}, scs: "500 \"Internal Server Error\\nthank you\"", here: "500 \"Something went wrong. Your change was not saved.\\n\""},
	{name: "Undecodable", pages: []page{
		func(s api, ctx context.Context) any {
			s.Put(ctx, "n", 1)
			s.Put(ctx, "old", pen{"red", nil})
			return nil
		},
		func(s api, ctx context.Context) any { broken(s, ctx); return nil },
		func(s api, ctx context.Context) any { return []any{s.GetInt(ctx, "n"), s.Get(ctx, "old")} },
	}, scs: "500 \"Internal Server Error\\n\"", here: `200 "[1 <nil>]"`},
	{name: "Conflict", set: unretained, pages: []page{count, func(s api, ctx context.Context) any {
		one, two := loaded(s, s.Token(ctx)), loaded(s, s.Token(ctx))
		count(s, one)
		count(s, two)
		_, _, first := s.Commit(one)
		_, _, second := s.Commit(two)
		return []any{first, errors.Is(second, manager.ErrConflict)}
	}}, scs: `200 "[<nil> false]"`, here: `200 "[<nil> true]"`},
	{name: "Merge", pages: []page{count, func(s api, ctx context.Context) any {
		other := loaded(s, "")
		count(s, other)
		s.SetDeadline(other, time.Now().Add(48*time.Hour))
		token, _, _ := s.Commit(other)
		return []any{s.MergeSession(ctx, token), until(s.Deadline(ctx))}
	}}, scs: `200 "[<nil> 48h0m0s]" cookie`, here: `200 "[<nil> 24h0m0s]"`},
	{name: "Iterate", set: unretained, pages: []page{count, func(s api, _ context.Context) any {
		return s.Iterate(context.Background(), func(ctx context.Context) error { s.Put(ctx, "n", 10); return nil })
	}, func(s api, ctx context.Context) any { return s.GetInt(ctx, "n") }}, scs: `200 "1"`, here: `200 "10"`},
	{
		name: "Bad settings",
		set: settings{
			theirs: func(s *theirs.SessionManager) { s.Lifetime = 0 },
			ours:   func(s *scs.SessionManager) { s.Lifetime = 0 },
		},
		pages: []page{count}, scs: `200 "1" cookie`, here: "500 \"Something went wrong. Your change was not saved.\\n\"",
	},
	{name: "After Commit", pages: []page{count, func(s api, ctx context.Context) any {
		_, _, err := s.Commit(ctx)
		return []any{err, errors.Is(s.RenewToken(ctx), manager.ErrCommitted), errors.Is(s.Destroy(ctx), manager.ErrCommitted)}
	}}, scs: `200 "[<nil> false false]" cookie`, here: `200 "[<nil> true true]"`},
	{name: "Chosen token", shownBy: "TestChosenToken"},
	{name: "Parallel login", shownBy: "TestParallelLogin"},
	{name: "Flush", shownBy: "TestFlush"},
}

// TestDifferences plays what differs on purpose, so that doc.go stays true, and complete.
func TestDifferences(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "# What differs from scs")
	if bullets := strings.Count(list, "//   - "); bullets != len(differences) {
		t.Errorf("doc.go lists %d differences, and %d are shown here", bullets, len(differences))
	}
	for _, d := range differences {
		if !strings.Contains(list, "//   - "+d.name) {
			t.Errorf("doc.go says nothing about %q", d.name)
		}
		if d.shownBy != "" {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			left, right := both(t, d.set, d.pages...)
			var l, r reply
			for i := range d.pages {
				l, r = left.post(fmt.Sprintf("/%d", i), nil), right.post(fmt.Sprintf("/%d", i), nil)
			}
			show := func(r reply) string { return strings.TrimSpace(r.String() + strings.Repeat(" cookie", len(r.cookies))) }
			if show(l) != d.scs || show(r) != d.here {
				t.Errorf("scs  %s, want %s\nhere %s, want %s", show(l), d.scs, show(r), d.here)
			}
			t.Logf("%-17s scs %-42s here %s", d.name, show(l), show(r))
		})
	}
}

// loaded is a session without a request.
func loaded(s api, token string) context.Context {
	ctx, err := s.Load(context.Background(), token)
	if err != nil {
		panic(err)
	}
	return ctx
}

// broken makes what is stored under "old" undecodable.
func broken(s api, ctx context.Context) {
	switch s := s.(type) {
	case *theirs.SessionManager:
		s.Codec = jsonCodec{}
	case *scs.SessionManager:
		m, err := s.Manager()
		if err != nil {
			panic(err)
		}
		manager.Key[raw]("old").Set(m.Session(ctx), "") // a Key reads and writes what Put and Get do
	}
}

// raw encodes itself as what it is not.
type raw string

func (r raw) GobEncode() ([]byte, error) { return []byte(r), nil }
func (*raw) GobDecode([]byte) error      { return errors.New("cannot be decoded") }

// The visitor brings a made-up token, and an old one.
func TestChosenToken(t *testing.T) {
	t.Parallel()
	_, b := both(t, settings{}, count)
	for _, token := range []string{"chosen", strings.Repeat("A", 22) + "." + strings.Repeat("A", 43)} {
		b.c.Jar.SetCookies(b.url, []*http.Cookie{{Name: "session", Value: token, Path: "/"}})
		if r := b.post("/0", nil); r.body != "1" || b.token() == token || b.token() == "" {
			t.Errorf("with the token %q: %v, and the token %q", token, r, b.token())
		}
	}
}

// A tab sends its request before a login is answered.
func TestParallelLogin(t *testing.T) {
	t.Parallel()
	left, right := both(t, settings{}, count, func(s api, ctx context.Context) any { return s.RenewToken(ctx) })
	for name, b := range map[string]*browser{"scs": left, "here": right} {
		b.post("/0", nil)
		old := b.token()
		b.post("/1", nil)
		in := b.token()
		b.c.Jar.SetCookies(b.url, []*http.Cookie{{Name: "session", Value: old, Path: "/"}})
		r := b.post("/0", nil)
		if in == old || r.body != "1" || len(r.cookies) != map[string]int{"scs": 1, "here": 0}[name] {
			t.Errorf("%s: the tab is answered %v %v", name, r, r.cookies)
		}
	}
}

// The handler flushes before it writes.
func TestFlush(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := visit(t, s.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := s.Get(r.Context(), "cart").(map[string]int)
		if c == nil {
			c = map[string]int{}
		}
		s.Put(r.Context(), "cart", c)
		c["pen"]++ // in place
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		c["pen"] += 100 // too late
		fmt.Fprint(w, c["pen"])
	})))
	for _, want := range []string{"101", "102"} {
		if r := b.get("/"); r.body != want || b.token() == "" {
			t.Errorf("%v, and the token %q", r, b.token())
		}
	}
}
