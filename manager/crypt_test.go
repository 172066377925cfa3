package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// embeddedManager returns a Manager on a Redis of its own, for benchmarks and fuzz tests.
func embeddedManager(tb testing.TB, change ...func(*manager.Config)) (stop func(), m *manager.Manager) {
	tb.Helper()
	srv, err := embedded.InMemory()
	if err != nil {
		tb.Fatal(err)
	}
	if m, err = manager.New(srv.Client(), configured("", change...)); err != nil {
		tb.Fatal(err)
	}
	return func() {
		_ = m.Close(context.Background())
		_ = srv.Close()
	}, m
}

func TestEncryptionAtRest(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b, encrypted(1))
		m, other := n.Manager, on(t, b, encrypted(1))
		const text, again = "4111-1111-1111-1111", "5500-0000-0000-0004"
		card, same := manager.Key[string]("card"), manager.Key[string]("same")
		token := do(m, "", func(s *manager.Session) { card.Set(s, text); same.Set(s, text); count.Set(s, 123454321) })
		do(other, token, func(s *manager.Session) {
			if card.Get(s) != text || same.Get(s) != text || count.Get(s) != 123454321 {
				t.Errorf("on another replica: %q, %q, %d", card.Get(s), same.Get(s), count.Get(s))
			}
			card.Set(s, again)
		})
		visit(m, m.Handler, token, func(s *manager.Session) { // a local copy may be behind by what is under way
			if card.Get(s) != again {
				t.Errorf("back on the first: %q", card.Get(s))
			}
		})
		wire := string(tap.Sent()) + string(tap.Received())
		rdb := b.Client(t)
		fields := rdb.HGetAll(t.Context(), b.Prefix+":{"+idOf(token)+"}").Val()
		for where, have := range map[string]string{"Redis": fmt.Sprint(fields), "the wire": wire} {
			for _, secret := range []string{text, again, "123454321"} {
				if strings.Contains(have, secret) {
					t.Errorf("%s shows %q", where, secret)
				}
			}
			if !strings.Contains(have, "card") {
				t.Errorf("%s shows nothing at all", where)
			}
		}
		if data(fields[".card"]) == data(fields[".same"]) {
			t.Error("two values look the same")
		}
	})
}

// data is the encoded value in a field of a record.
func data(field string) string {
	parts := strings.SplitN(field, ":", 3)
	return parts[len(parts)-1]
}

// An attacker who can write to Redis can neither move a value to another session or key, nor change it, nor put one there
// in plain text.
func TestEncryptedValuesMovedOrChanged(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		rdb := b.Client(t)
		role, limit := manager.Key[string]("role"), manager.Key[string]("limit")
		m := on(t, b, encrypted(1), policy(manager.FailRequest))
		admin := do(m, "", func(s *manager.Session) { role.Set(s, "admin"); limit.Set(s, "none") })
		record := func(token string) string { return b.Prefix + ":{" + idOf(token) + "}" }
		field := func(token, key string) string { return rdb.HGet(t.Context(), record(token), "."+key).Val() }
		for what, forge := range map[string]func(user string) string{
			"another session's": func(string) string { return data(field(admin, "role")) },
			"another key's":     func(user string) string { return data(field(user, "limit")) },
			"a bit changed": func(user string) string {
				d := []byte(data(field(user, "role")))
				d[len(d)-1] ^= 1
				return string(d)
			},
			"another key's name": func(user string) string {
				d := []byte(data(field(user, "role")))
				d[1] ^= 1
				return string(d)
			},
			"cut short":  func(user string) string { d := data(field(user, "role")); return d[:len(d)-1] },
			"the mark":   func(string) string { return "\x03" },
			"plain text": func(string) string { return `"admin"` },
			"empty":      func(string) string { return "" },
		} {
			user := do(m, "", func(s *manager.Session) { role.Set(s, "user"); limit.Set(s, "admin") })
			stamp, _, _ := strings.Cut(field(user, "role"), ":")
			if err := rdb.HSet(t.Context(), record(user), ".role", stamp+":0:"+forge(user)).Err(); err != nil {
				t.Fatal(err)
			}
			replica := on(t, b, encrypted(1), policy(manager.FailRequest)) // without a copy
			r, _ := visit(replica, replica.Handler, user, func(s *manager.Session) {
				if v, _, err := role.Lookup(s); err == nil || v != "" {
					t.Errorf("%s: the role is %q, %v", what, v, err)
				}
			})
			if r.StatusCode != http.StatusInternalServerError {
				t.Errorf("%s: %d", what, r.StatusCode)
			}
		}
	})
}

func TestRotationOfEncryptionKeys(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		none, old, both, fresh := on(t, b), on(t, b, encrypted(1)), on(t, b, encrypted(2, 1)), on(t, b, encrypted(2))
		token := do(old, "", func(s *manager.Session) { name.Set(s, "old"); flash.Set(s, "old") })
		do(both, token, func(s *manager.Session) {
			if name.Get(s) != "old" {
				t.Errorf("with a new key in front: %q", name.Get(s))
			}
			name.Set(s, "new")
		})
		do(old, token, func(s *manager.Session) { _ = s.Keys() })
		visit(fresh, fresh.ReadOnly, token, func(s *manager.Session) {
			if name.Get(s) != "new" {
				t.Errorf("written again, with the new key: %q", name.Get(s))
			}
			if v, ok, err := flash.Lookup(s); v != "" || !ok || err == nil {
				t.Errorf("not written again, without the old key: %q, %v, %v", v, ok, err)
			}
		})
		visit(none, none.ReadOnly, token, func(s *manager.Session) {
			if v, _, err := name.Lookup(s); v != "" || err == nil || !strings.Contains(err.Error(), "EncryptionKeys") {
				t.Errorf("without any key: %q, %v", v, err)
			}
		})
		// Encryption switched on: what is there in plain text is undecodable, and stays so until it is set.
		token = do(none, "", func(s *manager.Session) { name.Set(s, "plain") })
		r, _ := visit(fresh, fresh.Handler, token, func(s *manager.Session) {
			if name.Get(s) != "" {
				t.Errorf("plain text was taken: %q", name.Get(s))
			}
			count.Set(s, 1)
		})
		do(fresh, token, func(s *manager.Session) {
			if r.StatusCode != http.StatusOK || len(s.Keys()) != 2 || name.Get(s) != "" {
				t.Errorf("afterwards: %d, keys %q", r.StatusCode, s.Keys())
			}
		})
	})
}

// Children and merged sessions encrypt as well, each for where the value is.
func TestEncryptionOfChildrenAndMergedValues(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, other := on(t, b, encrypted(1)), on(t, b, encrypted(1))
		second := do(m, "", func(s *manager.Session) { flash.Set(s, "hello"); count.SetFor(s, 3, time.Hour) })
		token := do(m, "", func(s *manager.Session) {
			c, err := s.Child("checkout")
			if err != nil {
				t.Fatal(err)
			}
			name.Set(c, "child")
			name.Set(s, "parent")
			if err := s.Merge(t.Context(), second); err != nil {
				t.Error(err)
			}
		})
		do(other, token, func(s *manager.Session) {
			c, _ := s.Child("checkout")
			if name.Get(s) != "parent" || name.Get(c) != "child" || flash.Get(s) != "hello" || count.Get(s) != 3 {
				t.Errorf("%q %q %q %d", name.Get(s), name.Get(c), flash.Get(s), count.Get(s))
			}
		})
	})
}

// threeValues is a request with three small values: one read, all set, two of them to something else.
func threeValues(tb testing.TB, m *manager.Manager, token *string) {
	ctx, err := m.Load(context.Background(), *token)
	if err != nil {
		tb.Fatal(err)
	}
	s := m.Session(ctx)
	n := count.Get(s) + 1
	count.Set(s, n)
	name.Set(s, "Ada")
	flash.Set(s, "saved "+string(rune('a'+n&7)))
	if *token, _, err = m.Commit(ctx); err != nil {
		tb.Fatal(err)
	}
}

// What signing and encrypting costs a request: few allocations. See BenchmarkThreeValues for the time.
func TestAllocationsOfEncryption(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := redistest.Shared(t) // outside of this process, whose allocations count
	cost := func(change ...func(*manager.Config)) float64 {
		token := ""
		m := open(t, b.Client(t), configured(redistest.Prefix(t), change...))
		threeValues(t, m, &token)
		return leastAllocs(100, func() { threeValues(t, m, &token) })
	}
	plain, secret := cost(), cost(signed(1), encrypted(1))
	t.Logf("a request with three values: %v allocations, signed and encrypted %v", plain, secret)
	if secret-plain > 10 {
		t.Errorf("signing and encrypting add %v allocations, want 10 at most", secret-plain)
	}
}
