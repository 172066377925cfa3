package manager_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/logtest"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// Requests that go well log nothing, and one that is refused a single line; no line has what opens a session or is in it.
func TestLogOfRequests(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var log logtest.Recorder
		n := serve(t, on(t, b, func(c *manager.Config) { c.Logger, c.MaxSessionBytes = slog.New(&log), 1000 }), shop)
		tab, late := newBrowser(t), newBrowser(t)
		var secrets []string
		for _, path := range []string{"/add", "/look", "/ro/look", "/lazy/look", "/opt/add", "/login", "/look", "/logout", "/add"} {
			tab.get(n, path)
			if token := tab.token(n); token != "" {
				secrets = append(secrets, strings.TrimPrefix(token, idOf(token)+"."))
			}
			if path == "/add" {
				late.show(n, tab.token(n))
			}
			if path == "/login" {
				late.get(n, "/look") // with the token from before it
			}
		}
		late.show(n, "made up")
		late.get(n, "/look")
		if got := log.Lines(slog.LevelInfo); len(got) > 0 {
			t.Errorf("requests that went well logged %q", got)
		}
		want := "DEBUG holdfast: a token that was replaced by Rotate was shown id"
		if got := log.Lines(slog.LevelDebug); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q, want %q", got, want)
		}

		const value = "4111 1111 1111 1111"
		n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			manager.Key[string]("card").Set(s, strings.Repeat(value, 100))
		}
		if r := tab.get(n, "/pay"); r.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d", r.StatusCode)
		}
		want = "WARN holdfast: a request was refused method pattern reason error"
		if got := log.Lines(slog.LevelInfo); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q, want %q", got, want)
		}
		text := log.Text()
		for _, secret := range append(secrets, value, "card") {
			if strings.Contains(text, secret) {
				t.Errorf("the log has %q", secret)
			}
		}
		if !strings.Contains(text, "reason="+manager.Reason(manager.ErrTooLarge)) {
			t.Errorf("the log lacks the reason: %s", text)
		}
	})
}
