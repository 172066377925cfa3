package manager_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// What an attacker who writes to Redis can do: docs/security.md says it, and this shows it. Without keys, everything. With
// EncryptionKeys values cannot be read, changed, moved or made up; with TokenKeys no other session can be opened.
// Neither keeps him from changing whose session it is, from deleting it, or from putting back what it had before.
func TestSubstitutedRecords(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		rdb := b.Client(t)
		for _, c := range []struct {
			what                string
			change              []func(*manager.Config)
			reads, opens        bool // the victim's values in the attacker's session; the victim's session
			rebinds, rollsBacks bool
		}{
			{"without keys", nil, true, true, true, true},
			{"encrypted", []func(*manager.Config){encrypted(1)}, false, true, true, true},
			{"signed", []func(*manager.Config){signed(1)}, true, false, true, true},
			{"encrypted and signed", []func(*manager.Config){encrypted(1), signed(1)}, false, false, true, true},
		} {
			b := b.Again(t)
			m := on(t, b, c.change...)
			space := keys.In(b.Prefix)
			victim := do(m, "", func(s *manager.Session) { name.Set(s, "secret"); s.BindUser("victim") })
			attacker := do(m, "", func(s *manager.Session) { name.Set(s, "mine"); s.BindUser("attacker") })
			mine, theirs := space.Of(idOf(attacker)).Record, space.Of(idOf(victim)).Record
			field := func(key, name string) string { return rdb.HGet(t.Context(), key, name).Val() }
			put := func(key, name, value string) {
				if err := rdb.HSet(t.Context(), key, name, value).Err(); err != nil {
					t.Fatal(err)
				}
			}
			// see opens a session on a replica without a copy.
			see := func(token string) (user, value string) {
				replica := on(t, b, c.change...)
				visit(replica, replica.ReadOnly, token, func(s *manager.Session) { user, value = s.User(), name.Get(s) })
				return user, value
			}

			old := field(mine, ".name")
			swap(t, rdb, mine, theirs, ".name")
			if _, value := see(attacker); (value == "secret") != c.reads || value == "mine" {
				t.Errorf("%s: with the values swapped the attacker reads %q", c.what, value)
			}
			if _, value := see(victim); (value == "mine") != c.reads || value == "secret" {
				t.Errorf("%s: with the values swapped the victim reads %q", c.what, value)
			}
			swap(t, rdb, mine, theirs, ".name")

			secret := field(theirs, "h")
			put(theirs, "h", field(mine, "h")) // the hash of a secret that the attacker knows
			forged := idOf(victim) + strings.TrimPrefix(attacker, idOf(attacker))
			if user, value := see(forged); (user == "victim" && value == "secret") != c.opens {
				t.Errorf("%s: with a secret of his own in the victim's record the attacker is %q and reads %q", c.what, user, value)
			}
			put(theirs, "h", secret)

			do(m, attacker, func(s *manager.Session) { name.Set(s, "changed") })
			put(mine, ".name", old)
			if _, value := see(attacker); (value == "mine") != c.rollsBacks {
				t.Errorf("%s: with an old value put back the session reads %q", c.what, value)
			}
			put(mine, "u", "victim")
			if user, _ := see(attacker); (user == "victim") != c.rebinds {
				t.Errorf("%s: with the user changed the session is %q's", c.what, user)
			}
		}
	})
}

func swap(t *testing.T, rdb redis.UniversalClient, a, b, field string) {
	t.Helper()
	ctx := t.Context()
	x, y := rdb.HGet(ctx, a, field).Val(), rdb.HGet(ctx, b, field).Val()
	if x == "" || y == "" || x == y {
		t.Fatalf("fields %q and %q", x, y)
	}
	for key, value := range map[string]string{a: y, b: x} {
		if err := rdb.HSet(ctx, key, field, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A copy of the whole database, such as a backup, opens nothing: no word of it is a token, or the part of one that is
// missing.
func TestLeakedDatabaseOpensNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		token := do(m, "", func(s *manager.Session) { name.Set(s, "secret"); s.BindUser("victim") })
		_, token = visit(m, m.Handler, token, func(s *manager.Session) { s.Rotate() })
		var words []string
		for _, text := range dump(t, b.Client(t), b.Prefix) {
			words = append(words, strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(`: {}"`, r) })...)
		}
		tried := 0
		for _, word := range words {
			for _, forged := range []string{word, idOf(token) + "." + word} {
				tried++
				visit(m, m.Handler, forged, func(s *manager.Session) {
					if !s.IsNew() {
						t.Errorf("%q opens the session", forged)
					}
				})
			}
		}
		if tried < 20 || m.Stats().Unknown == 0 {
			t.Errorf("%d words were tried, %d of them tokens by their form", tried, m.Stats().Unknown)
		}
	})
}

// dump lists every key below a prefix and all that it holds.
func dump(t *testing.T, rdb redis.UniversalClient, prefix string) (texts []string) {
	t.Helper()
	ctx := t.Context()
	for _, key := range keysOf(t, rdb, prefix) {
		texts = append(texts, key)
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "hash":
			for field, value := range rdb.HGetAll(ctx, key).Val() {
				texts = append(texts, field, value)
			}
		case "string":
			texts = append(texts, rdb.Get(ctx, key).Val())
		case "list":
			texts = append(texts, rdb.LRange(ctx, key, 0, -1).Val()...)
		case "zset":
			texts = append(texts, rdb.ZRange(ctx, key, 0, -1).Val()...)
		case "none": // it has expired since
		default:
			t.Errorf("key %q is a %s", key, kind)
		}
	}
	return texts
}
