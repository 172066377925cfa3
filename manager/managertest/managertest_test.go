package managertest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

var visits = manager.Key[int]("visits")

// app counts the visits of a session.
func app(m *manager.Manager) http.Handler {
	return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := visits.Get(m.Session(r.Context())) + 1
		visits.Set(m.Session(r.Context()), n)
		fmt.Fprint(w, n)
	}))
}

// get is like that of the tests of package manager, which this package cannot use.
func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A browser on plain HTTP keeps its session across replicas.
func TestReplicasShareSessions(t *testing.T) {
	t.Parallel()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	for i, m := range managertest.Replicas(t, 3, nil) {
		srv := httptest.NewServer(app(m))
		if got, want := get(t, browser, srv.URL), fmt.Sprint(i+1); got != want {
			t.Errorf("replica %d: got %s, want %s", i, got, want)
		}
		srv.Close()
	}
}

// Time passes in a bubble, and everything has ended when the test has, or the bubble would fail the test.
func TestInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := managertest.New(t, &manager.Config{IdleTimeout: time.Hour})
		ctx := t.Context()
		id, err := m.Create(ctx, func(s *manager.Session) error { visits.Set(s, 1); return nil })
		if err != nil {
			t.Fatal(err)
		}
		look := func() error { return m.View(ctx, id, func(*manager.Session) error { return nil }) }
		time.Sleep(59 * time.Minute)
		if err := look(); err != nil {
			t.Error(err)
		}
		time.Sleep(61 * time.Minute)
		if err := look(); err == nil {
			t.Error("the session outlives its idle timeout")
		}
	})
}

// A Propagator of one's own keeps its attributes.
func TestConfigIsKept(t *testing.T) {
	t.Parallel()
	cfg := &manager.Config{Propagator: manager.Cookie{Name: "sid"}}
	m := managertest.New(t, cfg)
	w := httptest.NewRecorder()
	app(m).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || cookies[0].Name != "sid" || !cookies[0].Secure {
		t.Errorf("got %v", cookies)
	}
	if cfg.Insecure {
		t.Error("the caller's Config was changed")
	}
}
