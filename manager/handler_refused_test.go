package manager_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// After a failed commit the response is the ErrorHandler's alone. What the handler puts into the header later does not
// go out either: not as a trailer, and not from a writer that keeps the header until the handler is done.
func TestRefusalKeepsItsHeader(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(func(c *manager.Config) { c.MaxSessionBytes = 100 })
		work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name.Set(m.Session(r.Context()), strings.Repeat("x", 100))
			h := w.Header()
			_, _ = w.Write([]byte("page"))
			h.Set("X-Late", "secret")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "secret")
			w.Header().Set("Content-Type", "text/secret")
		})
		for what, wrap := range map[string]func(http.Handler) http.Handler{
			"plain":     func(h http.Handler) http.Handler { return h },
			"buffering": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Hour, "") },
		} {
			rec := httptest.NewRecorder()
			h := wrap(m.Handler(work))
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
			if body := rec.Body.String(); rec.Code != http.StatusInternalServerError || !strings.HasPrefix(body, "Something went wrong") {
				t.Errorf("%s: %d %q", what, rec.Code, body)
			}
			for name, values := range rec.Header() {
				if strings.Contains(strings.Join(values, ""), "secret") {
					t.Errorf("%s: the handler's %s went out: %q", what, name, values)
				}
			}
			if got := rec.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: the ErrorHandler's header is lost: %v", what, rec.Header())
			}
		}
	})
}
