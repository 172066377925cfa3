package manager

import (
	"testing"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/store"
)

// An answer of Redis that gives a request no place in the queue proves no token: others that show the same one do not rely on it.
func TestRefusalAdmitsNobody(t *testing.T) {
	t.Parallel()
	srv, err := embedded.InMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	sessions, err := store.New(srv.Client(), store.Config{Prefix: "admit"})
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]struct {
		place  queue.Position
		proven bool
	}{
		"absent": {queue.Refused, false}, "queued": {queue.Queued, true}, "full": {queue.Full, true},
	} {
		all := newAdmissions()
		a := all.join(token{id: "id", hash: "hash"})
		at, err := admitting{sessions.OpenRequest(store.Query{ID: "id", Secret: "hash"}), a}.Answer([]any{word, int64(0), int64(0)}, nil)
		if err != nil || at.Position != want.place || a.proven != want.proven {
			t.Errorf("%s: %+v, %v, the token is proven: %v", word, at, err, a.proven)
		}
	}
}
