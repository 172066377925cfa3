package manager_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// During a rollout a request may meet a session that a newer release has written. It is refused in every mode: the client
// keeps its cookie, and the session stays as it is.
func TestNewerFormat(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		click := func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			count.Set(s, count.Get(s)+1)
		}
		newer, older := serve(t, on(t, b, unretained), click), serve(t, on(t, b, unretained), click)
		u := newBrowser(t)
		u.get(newer, "/")
		token := u.token(newer)
		rdb, record := b.Client(t), keys.In(b.Prefix).Of(token[:keys.IDLen]).Record
		if err := rdb.HSet(t.Context(), record, "f", "99", "unknown", "to us").Err(); err != nil {
			t.Fatal(err)
		}
		before := rdb.HGetAll(t.Context(), record).Val()
		for _, path := range []string{"/", "/lazy/", "/opt/", "/ro/"} {
			r := u.get(older, path)
			if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" || len(r.Cookies()) > 0 {
				t.Errorf("%s: status %d, Retry-After %q, cookies %v", path, r.StatusCode, r.Header.Get("Retry-After"), r.Cookies())
			}
		}
		if u.token(older) != token {
			t.Error("the client lost its cookie")
		}
		after := rdb.HGetAll(t.Context(), record).Val()
		if len(before) == 0 || !maps.Equal(after, before) {
			t.Errorf("the record was changed from %v to %v", before, after)
		}
		if left := rdb.Exists(t.Context(), keys.In(b.Prefix).Of(token[:keys.IDLen]).Lock).Val(); left != 0 {
			t.Error("a lock was left")
		}
	})
}
