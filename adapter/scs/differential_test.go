package scs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	theirs "github.com/alexedwards/scs/v2"

	"github.com/holdfast-go/holdfast/adapter/scs"
)

// sessionCookie has the cookie end with the browser.
var sessionCookie = settings{
	theirs: func(s *theirs.SessionManager) { s.Cookie.Persist = false },
	ours:   func(s *scs.SessionManager) { s.Cookie.Persist = false },
}

// programs are pages of one application each.
var programs = map[string]struct {
	set   settings
	pages []page
}{
	"values of each type":          {pages: []page{put, types, getters, keys, poppers, keys}},
	"a visitor who stores nothing": {pages: []page{keys, getters, func(s api, ctx context.Context) any { return s.Clear(ctx) }, keys}},
	"a counter":                    {pages: []page{count, count, count}},
	"remove, clear":                {pages: []page{put, func(s api, ctx context.Context) any { s.Remove(ctx, "int"); s.Remove(ctx, "no"); return keys(s, ctx) }, keys, func(s api, ctx context.Context) any { return s.Clear(ctx) }, keys, count}},
	"login and logout": {pages: []page{
		count,
		func(s api, ctx context.Context) any { return []any{s.RenewToken(ctx), count(s, ctx)} },
		count,
		func(s api, ctx context.Context) any { return []any{s.Destroy(ctx), keys(s, ctx), status(s)(ctx)} },
		keys, count,
	}},
	"destroy, and begin again": {pages: []page{
		count, func(s api, ctx context.Context) any { return []any{s.Destroy(ctx), count(s, ctx), status(s)(ctx)} }, count,
	}},
	"statuses": {pages: []page{
		func(s api, ctx context.Context) any {
			a := status(s)(ctx)
			count(s, ctx)
			return []int{a, status(s)(ctx)}
		},
		func(s api, ctx context.Context) any {
			a := status(s)(ctx)
			s.Pop(ctx, "no")
			return []int{a, status(s)(ctx)}
		},
		func(s api, ctx context.Context) any { s.Pop(ctx, "n"); return status(s)(ctx) },
	}},
	"changed in place after Put":           {pages: []page{cart, keys, func(s api, ctx context.Context) any { return s.Get(ctx, "cart") }}},
	"changed in place, and something else": {pages: []page{cart, func(s api, ctx context.Context) any { return []any{cart(s, ctx), count(s, ctx)} }, func(s api, ctx context.Context) any { return s.Get(ctx, "cart") }}},
	"changed in place alone":               {pages: []page{cart, cart, func(s api, ctx context.Context) any { return s.Get(ctx, "cart") }}},
	"session cookies":                      {set: sessionCookie, pages: []page{count, count}},
	"remember me": {set: sessionCookie, pages: []page{
		func(s api, ctx context.Context) any { s.RememberMe(ctx, true); return count(s, ctx) },
		keys,
		func(s api, ctx context.Context) any { return []any{s.RenewToken(ctx), count(s, ctx)} },
		func(s api, ctx context.Context) any {
			s.RememberMe(ctx, false)
			return []any{s.RenewToken(ctx), keys(s, ctx)}
		},
		func(s api, ctx context.Context) any { return []any{s.Clear(ctx), s.RenewToken(ctx), count(s, ctx)} },
	}},
	"remember me where all persist": {pages: []page{func(s api, ctx context.Context) any { s.RememberMe(ctx, false); return keys(s, ctx) }, keys}},
	"deadlines": {pages: []page{
		func(s api, ctx context.Context) any { return []any{until(s.Deadline(ctx)), count(s, ctx)} },
		func(s api, ctx context.Context) any {
			s.SetDeadline(ctx, time.Now().Add(time.Hour))
			return until(s.Deadline(ctx))
		},
		func(s api, ctx context.Context) any { return until(s.Deadline(ctx)) },
		func(s api, ctx context.Context) any { return []any{s.RenewToken(ctx), until(s.Deadline(ctx))} },
	}},
	"tokens": {pages: []page{
		func(s api, ctx context.Context) any { count(s, ctx); return s.Token(ctx) == "" },
		func(s api, ctx context.Context) any { return s.Token(ctx) == "" },
		func(s api, ctx context.Context) any { return []any{s.Destroy(ctx), s.Token(ctx) == ""} },
		func(s api, ctx context.Context) any { return s.Token(ctx) == "" },
	}},
	"a commit in between": {pages: []page{
		func(s api, ctx context.Context) any {
			count(s, ctx)
			token, expiry, err := s.Commit(ctx)
			return []any{token == s.Token(ctx), token != "", until(expiry), err, count(s, ctx)}
		},
		count,
		func(s api, ctx context.Context) any {
			count(s, ctx)
			_, _, err := s.Commit(ctx)
			return []any{err, keys(s, ctx), count(s, ctx)}
		},
		count,
	}},
	"merge": {pages: []page{
		func(s api, ctx context.Context) any {
			other, err := s.Load(context.Background(), "")
			if err != nil {
				return err
			}
			s.Put(other, "n", 7)
			s.Put(other, "other", "a")
			token, _, err := s.Commit(other)
			if err != nil {
				return err
			}
			count(s, ctx)
			s.Put(ctx, "mine", true)
			return []any{s.MergeSession(ctx, token), s.MergeSession(ctx, "no such token"), count(s, ctx), keys(s, ctx)}
		},
		func(s api, ctx context.Context) any {
			return []any{keys(s, ctx), s.MergeSession(ctx, s.Token(ctx)), count(s, ctx)}
		},
	}},
	// Iterate without the request's context changes the request's own session. A request that began on a retained lock is
	// refused for that; which ones do depends on when they come.
	"iterate": {set: settings{ours: func(s *scs.SessionManager) { s.Config.Retain = -1 }}, pages: []page{
		count,
		func(s api, ctx context.Context) any {
			n, err := 0, error(nil)
			err = s.Iterate(context.Background(), func(ctx context.Context) error { n += s.GetInt(ctx, "n"); return nil })
			return []any{n, err}
		},
		func(s api, _ context.Context) any {
			return s.Iterate(context.Background(), func(ctx context.Context) error {
				s.Put(ctx, "n", 10)
				_, _, err := s.Commit(ctx)
				return err
			})
		},
		count,
	}},
	"another codec": {
		set: settings{
			theirs: func(s *theirs.SessionManager) { s.Codec = jsonCodec{} },
			ours:   func(s *scs.SessionManager) { s.Codec = jsonCodec{} },
		},
		pages: []page{put, types, getters},
	},
	"a value without a codec": {pages: []page{count, func(s api, ctx context.Context) any {
		type private struct{ N int }
		s.Put(ctx, "p", private{1})
		return s.Get(ctx, "p") != nil
	}, count}},
	"settings of the cookie": {
		set: settings{
			theirs: func(s *theirs.SessionManager) {
				s.Cookie = theirs.SessionCookie{Name: "id", Path: "/", SameSite: http.SameSiteStrictMode, Persist: true}
				s.Lifetime = time.Hour
			},
			ours: func(s *scs.SessionManager) {
				s.Cookie = scs.SessionCookie{Name: "id", Path: "/", SameSite: http.SameSiteStrictMode, Persist: true}
				s.Lifetime = time.Hour
			},
		},
		pages: []page{count, count, func(s api, ctx context.Context) any { return s.Destroy(ctx) }},
	},
	"no SameSite": {
		set: settings{
			theirs: func(s *theirs.SessionManager) { s.Cookie.SameSite, s.Cookie.HttpOnly = 0, false },
			ours:   func(s *scs.SessionManager) { s.Cookie.SameSite, s.Cookie.HttpOnly = 0, false },
		},
		pages: []page{count},
	},
}

// The same programs on scs and here: browsers see the same.
func TestSamePrograms(t *testing.T) {
	t.Parallel()
	for name, c := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left, right := both(t, c.set, c.pages...)
			for i := range c.pages {
				compare(t, left, right, fmt.Sprintf("/%d", i))
			}
		})
	}
}

// compare visits a page on both sides. A failed commit is compared by its status alone: here nothing but the error is
// sent.
func compare(t *testing.T, left, right *browser, path string) {
	t.Helper()
	l, r := left.post(path, nil), right.post(path, nil)
	if l.status == http.StatusInternalServerError && r.status == l.status {
		return
	}
	if l.String() != r.String() || left.cookie() != right.cookie() || (left.token() == "") != (right.token() == "") {
		t.Errorf("%s:\nscs  %v %s\nhere %v %s", path, l, left.cookie(), r, right.cookie())
	}
}

// jsonCodec is what applications write to have JSON.
type jsonCodec struct{}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"Deadline": deadline, "Values": values})
}

func (jsonCodec) Decode(data []byte) (time.Time, map[string]any, error) {
	var r struct {
		Deadline time.Time
		Values   map[string]any
	}
	err := json.Unmarshal(data, &r)
	return r.Deadline, r.Values, err
}
