package manager_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
		n := serve(t, on(t, b, func(c *manager.Config) {
			c.Logger, c.MaxSessionBytes = slog.New(&log), 1000
			// A busy machine must not add lines about a lost lock, or about a feed without proof.
			c.Retain, c.LockTTL, c.LockWait, c.MaxStaleness = -1, time.Minute, -1, 4*time.Minute
		}), shop)
		tab, late := newBrowser(t), newBrowser(t)
		if got := log.Lines(slog.LevelInfo); len(got) != 1 || !strings.HasPrefix(got[0], "INFO holdfast: started ") {
			t.Errorf("a start logged %q", got)
		}
		lines := func(from slog.Level) []string { return log.Lines(from)[1:] }
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
		if got := lines(slog.LevelInfo); len(got) > 0 {
			t.Errorf("requests that went well logged %q", got)
		}
		want := "DEBUG holdfast: a token that was replaced by Rotate was shown id"
		if got := lines(slog.LevelDebug); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q, want %q", got, want)
		}

		const value = "4111 1111 1111 1111"
		n.handle = func(_ http.ResponseWriter, _ *http.Request, s *manager.Session) {
			manager.Key[string]("card.no").Set(s, strings.Repeat(value, 100))
		}
		if r := tab.get(n, "/pay"); r.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d", r.StatusCode)
		}
		want = "WARN holdfast: a request was refused method pattern reason id error"
		if got := lines(slog.LevelInfo); !slices.Equal(got, []string{want}) {
			t.Errorf("logged %q, want %q", got, want)
		}
		text := log.Text()
		for _, secret := range append(secrets, value, "card.no") {
			if strings.Contains(text, secret) {
				t.Errorf("the log has %q", secret)
			}
		}
		if !strings.Contains(text, "reason="+manager.Reason(manager.ErrTooLarge)) {
			t.Errorf("the log lacks the reason: %s", text)
		}
	})
}

// While Redis is down, five hundred requests a second leave few lines. Each names its cause, and together they count all.
func TestLogOfAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		var log logtest.Recorder
		m := v.manager(func(c *manager.Config) { c.Logger, c.MaxStaleness = slog.New(&log), 2*time.Second })
		_, token := visit(m, m.Handler, "", add)
		time.Sleep(time.Minute)
		if err := v.srv.Close(); err != nil {
			t.Fatal(err)
		}
		const perSecond, seconds = 100, 10
		var requests sync.WaitGroup
		modes := []func(http.Handler) http.Handler{m.Handler, m.Lazy, m.Optimistic, m.ReadOnly}
		for i := range perSecond * seconds {
			requests.Go(func() {
				if res, _ := visit(m, modes[i%len(modes)], token, add); res.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("status %d", res.StatusCode)
				}
				// What applications do outside requests fails too, and is theirs to log.
				_ = m.Update(t.Context(), idOf(token), func(s *manager.Session) error { add(s); return nil })
				_, _ = m.RevokeUser(t.Context(), "bob")
			})
			time.Sleep(time.Second / perSecond)
		}
		requests.Wait()
		time.Sleep(time.Minute)

		refused := 0
		lines := strings.Split(strings.TrimSuffix(log.Text(), "\n"), "\n")
		for _, line := range lines {
			if !strings.Contains(line, "a request was refused") {
				continue
			}
			if !strings.Contains(line, "reason=unavailable id="+idOf(token)+" error=") {
				t.Errorf("a refusal without its cause or its session: %s", line)
			}
			n := 1
			if _, repeated, ok := strings.Cut(line, "repeated="); ok {
				if _, err := fmt.Sscan(repeated, &n); err != nil {
					t.Fatal(line, err)
				}
			}
			refused += n
		}
		if refused != perSecond*seconds || refused != int(m.Stats().Refused) {
			t.Errorf("the log counts %d refusals, the statistics %d, of %d", refused, m.Stats().Refused, perSecond*seconds)
		}
		if most := log.Most(slog.LevelInfo, time.Second); len(lines) > 10+seconds || most > 10 {
			t.Errorf("%d lines in %d seconds, and up to %d in one:\n%s", len(lines), seconds, most, log.Text())
		}
		for _, line := range log.Lines(slog.LevelWarn) {
			if !strings.Contains(line, " error") && !strings.Contains(line, "LockWait is not longer") {
				t.Errorf("a line without its cause: %s", line)
			}
		}
	})
}

// A request that timed out waiting names the replica that holds the lock.
func TestLogNamesTheHolder(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		var log logtest.Recorder
		holder := v.manager(unretained)
		m := v.manager(func(c *manager.Config) { c.Logger, c.LockWait = slog.New(&log), 6*time.Second })
		_, token := visit(m, m.Handler, "", add)
		entered, leave := make(chan struct{}), make(chan struct{})
		var requests sync.WaitGroup
		requests.Go(func() {
			visit(holder, holder.Handler, token, func(*manager.Session) { close(entered); <-leave })
		})
		<-entered
		res, _ := visit(m, m.Handler, token, add)
		close(leave)
		requests.Wait()
		if want := "reason=lock_timeout id=" + idOf(token); res.StatusCode != http.StatusServiceUnavailable ||
			!strings.Contains(log.Text(), want) || !strings.Contains(log.Text(), "holder=[node="+holder.Node()+" name=") {
			t.Errorf("status %d, logged\n%s", res.StatusCode, log.Text())
		}
	})
}
