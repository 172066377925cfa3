package manager_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

func TestMetadataOfTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		trusted := v.manager(trust(t, "10.0.0.0/8", "192.0.2.1/32"))
		plain := v.manager()
		for _, c := range []struct {
			m         *manager.Manager
			forwarded []string
			want      string
		}{
			{plain, nil, "192.0.2.1"},
			{plain, []string{"203.0.113.9"}, "192.0.2.1"},
			{trusted, []string{"203.0.113.9"}, "203.0.113.9"},
			{trusted, []string{"1.2.3.4, 203.0.113.9, 10.1.1.1"}, "203.0.113.9"},
			{trusted, []string{"1.2.3.4", "203.0.113.9"}, "203.0.113.9"},
			{trusted, []string{"garbage"}, "192.0.2.1"},
			{trusted, []string{"10.1.1.1"}, "10.1.1.1"},
			{trusted, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		} {
			h := c.m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { add(c.m.Session(r.Context())) }))
			r := httptest.NewRequest(http.MethodGet, "/", nil) // from 192.0.2.1
			r.Header["X-Forwarded-For"] = c.forwarded
			r.Header.Set("User-Agent", "browser/1.0")
			rec := httptest.NewRecorder()
			start := time.Now()
			h.ServeHTTP(rec, r)
			token := rec.Result().Cookies()[0].Value
			time.Sleep(time.Minute)
			visit(c.m, c.m.ReadOnly, token, func(s *manager.Session) {
				i := s.Info()
				if i.RemoteAddr != c.want || i.UserAgent != "browser/1.0" || i.ID != s.ID() {
					t.Errorf("%q: %+v, want address %s", c.forwarded, i, c.want)
				}
				if d := i.Created.Sub(start); d < -time.Millisecond || d > time.Second || !i.Rotated.Equal(i.Created) {
					t.Errorf("created %v after it began", d)
				}
			})
		}
	})
}

// LastSeen is never the zero time: without an idle timeout it is the last login or rotation, and for one's own session now.
func TestLastSeenIsKnown(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		token := do(m, "", func(s *manager.Session) {
			s.BindUser("u1")
			if got := s.Info().LastSeen; !got.Equal(time.Now()) {
				t.Errorf("a new session: %v", got)
			}
		})
		begun := time.Now()
		time.Sleep(time.Hour)
		do(m, token, func(s *manager.Session) {
			if got := s.Info().LastSeen; time.Until(got).Abs() > time.Second {
				t.Errorf("one's own session: %v, now %v", got, time.Now())
			}
		})
		listed := func(want time.Time) {
			t.Helper()
			infos, err := m.UserSessions(t.Context(), "u1")
			if err != nil || len(infos) != 1 || infos[0].LastSeen.Sub(want).Abs() > time.Second {
				t.Errorf("listed: %+v, %v; want %v", infos, err, want)
			}
			for info, err := range m.All(t.Context()) {
				if err != nil || info.LastSeen.Sub(want).Abs() > time.Second {
					t.Errorf("all: %+v, %v; want %v", info, err, want)
				}
			}
		}
		listed(begun)
		do(m, token, (*manager.Session).Rotate)
		listed(time.Now())
	})
}
