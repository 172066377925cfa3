package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// No secret, user or value can be read from a list of keys or channels.
func TestNamesRevealNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e *env) {
		ctx := t.Context()
		published := e.messages(t)
		const key, data, hash, user, client = "NAME-OF-THE-KEY", "DATA-OF-THE-KEY", "HASH-OF-THE-SECRET", "NAME-OF-THE-USER", "NAME-OF-THE-CLIENT"
		c := creation(key, data)
		c.Hash, c.User, c.Client = hash, new(user), new(client)
		rec := e.commit(t, c)
		if _, err := e.other(t).Open(ctx, store.Query{ID: c.ID, Secret: hash}); err != nil {
			t.Fatal(err)
		}
		e.hold(t, c.ID, "me.1", lockTTL)
		e.enqueue(t, c.ID, "you.1")
		r := rotation(rec, store.Privilege, hash+"-2", time.Hour)
		r.Token = "me.1"
		e.commit(t, r)
		names := append(redistest.Keys(t, e.rdb, e.prefix+"*"), published()...)
		if len(names) < 4 {
			t.Fatalf("only %q", names)
		}
		for _, name := range names {
			for _, secret := range []string{key, data, hash, user, client} {
				if strings.Contains(name, secret) {
					t.Errorf("%q tells %q", name, secret)
				}
			}
		}
	})
}

func TestNewNeedsAClient(t *testing.T) {
	t.Parallel()
	if _, err := store.New(nil, store.Config{}); err == nil {
		t.Error("New took no client")
	}
}
