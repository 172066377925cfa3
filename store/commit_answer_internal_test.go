package store

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/queue"
)

// FuzzAnswer takes any words for the answer of open.lua: what a proxy, another server or a later release may say. It
// is a session, a status, or an error.
func FuzzAnswer(f *testing.F) {
	s := &Store{}
	f.Add("held", int64(0), int64(1700000000000), "1.abcdefghijk", int64(0), "", int64(1), "v|1.abcdefghijk|h|hash", 9)
	f.Add("held", int64(0), int64(-1), "1.a", int64(-1), "P", int64(0), "", 9)
	f.Add("queued", int64(-1), int64(0), "", int64(0), "", int64(0), "", 3)
	f.Add("denied", int64(0), int64(0), "", int64(0), "", int64(0), "", 3)
	f.Add("", int64(0), int64(0), "", int64(0), "", int64(0), "", 0)
	f.Fuzz(func(t *testing.T, word string, ms, now int64, version string, expiry int64, via string, registered int64, fields string, n int) {
		words := []any{word, ms, now, version, expiry, via, registered, fieldsOf(fields), int64(1)}
		words = words[:max(0, min(n, len(words)))]
		for _, known := range []*Record{nil, {ID: "id", Version: version, Hash: "h"}} {
			r := s.OpenRequest(Query{ID: "id", Known: known})
			at, err := r.Answer(words, nil)
			opened, refused := r.Result()
			switch {
			case err != nil:
				if opened != nil {
					t.Fatalf("%q: a session with the error %v", words, err)
				}
			case at.Position == queue.Held:
				if opened == nil || opened.Record == nil || opened.Record.Version != version || refused != nil {
					t.Fatalf("%q: held, and %+v, %v", words, opened, refused)
				}
			case at.Position == queue.Refused:
				if !isRefusal(refused) {
					t.Fatalf("%q: refused with %v", words, refused)
				}
			}
		}
		if _, err := (&Store{}).OpenRequest(Query{ID: "id"}).Answer(word, nil); err == nil {
			t.Fatalf("%q is taken for an answer", word)
		}
	})
}
