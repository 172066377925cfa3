package scs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Random programs of one browser: the bodies are the same, and so is whether the browser has a cookie.
func TestSameRandomPrograms(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			programs := make([]string, 30)
			for i := range programs {
				programs[i] = program(rng)
			}
			var pages []page
			for _, p := range programs {
				pages = append(pages, func(s api, ctx context.Context) any { return run(s, ctx, p) })
			}
			left, right := both(t, settings{}, pages...)
			for i, p := range programs {
				l, r := left.post(fmt.Sprintf("/%d", i), nil), right.post(fmt.Sprintf("/%d", i), nil)
				if l.String() != r.String() || left.cookie() != right.cookie() {
					t.Fatalf("page %d, %q:\nscs  %v %s\nhere %v %s", i, p, l, left.cookie(), r, right.cookie())
				}
			}
		})
	}
}

// program draws the steps of one page. Some steps begin a session in scs and not here, so a Put goes with them.
func program(rng *rand.Rand) string {
	steps := []string{"put", "put", "putmap", "inplace", "get", "get", "exists", "keys", "pop", "remove", "clear", "renew put", "destroy", "deadline put", "commit", "token"}
	var out []string
	for range 1 + rng.IntN(6) {
		step := steps[rng.IntN(len(steps))]
		key, n := string(rune('a'+rng.IntN(4))), rng.IntN(1000)
		if slices.Contains(out, "commit") && (strings.HasPrefix(step, "renew") || step == "destroy") {
			continue // an error here: see TestAfterCommit
		}
		for s := range strings.SplitSeq(step, " ") {
			switch s {
			case "put", "putmap", "inplace", "get", "exists", "pop", "remove":
				s = fmt.Sprintf("%s %s %d", s, key, n)
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, ",")
}

func run(s api, ctx context.Context, program string) any {
	var out []string
	say := func(v any) { out = append(out, fmt.Sprint(v)) }
	changed, renewed := false, false
	for step := range strings.SplitSeq(program, ",") {
		var verb, key string
		var n int
		_, _ = fmt.Sscan(step, &verb, &key, &n)
		switch verb {
		case "put":
			s.Put(ctx, key, n)
			changed = true
		case "putmap":
			s.Put(ctx, key, map[string]int{"a": n, "b": 2})
			changed = true
		case "inplace":
			if m, ok := s.Get(ctx, key).(map[string]int); ok {
				m["c"] = n
			}
		case "get":
			say(s.Get(ctx, key))
		case "exists":
			say(s.Exists(ctx, key))
		case "keys":
			say(s.Keys(ctx))
		case "pop":
			say(s.Pop(ctx, key))
		case "remove":
			s.Remove(ctx, key)
		case "clear":
			say(s.Clear(ctx))
		case "renew":
			say(s.RenewToken(ctx))
			renewed = true
		case "destroy":
			say(s.Destroy(ctx))
		case "deadline":
			s.SetDeadline(ctx, time.Now().Add(time.Hour))
			say(until(s.Deadline(ctx)))
		case "token":
			say(renewed || (s.Token(ctx) == ""))
		case "commit":
			if changed && len(s.Keys(ctx)) > 0 {
				_, expiry, err := s.Commit(ctx)
				say(until(expiry))
				say(err)
			}
		}
	}
	if changed && len(s.Keys(ctx)) == 0 {
		s.Put(ctx, "z", 1) // nothing to store is another matter: see TestDifferences
	}
	return strings.Join(out, " ")
}
