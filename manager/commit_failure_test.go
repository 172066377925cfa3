package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

func TestChangeAfterTheResponseBegan(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		log := &logged{}
		var mu sync.Mutex
		var told []string
		n := serve(t, on(t, b, func(c *manager.Config) {
			c.Logger = log.logger()
			c.Hooks.Late = func(_ context.Context, id string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, id)
			}
		}), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		id := idOf(tab.token(n))
		changes := map[string]func(*manager.Session){
			"Set":            func(s *manager.Session) { count.Set(s, 99) },
			"SetFor":         func(s *manager.Session) { count.SetFor(s, 99, time.Hour) },
			"Delete":         func(s *manager.Session) { count.Delete(s) },
			"Clear":          func(s *manager.Session) { s.Clear() },
			"Rotate":         func(s *manager.Session) { s.Rotate() },
			"Destroy":        func(s *manager.Session) { s.Destroy() },
			"BindUser":       func(s *manager.Session) { s.BindUser("u") },
			"Remember":       func(s *manager.Session) { s.Remember(false) },
			"SetDeadline":    func(s *manager.Session) { s.SetDeadline(time.Now().Add(time.Minute)) },
			"SetIdleTimeout": func(s *manager.Session) { s.SetIdleTimeout(time.Minute) },
		}
		done := int64(0)
		for what, change := range changes {
			n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
				fmt.Fprint(w, "begun")
				if err := s.Err(); err != nil {
					t.Errorf("%s: before the late change: %v", what, err)
				}
				change(s)
				if err := s.Err(); !errors.Is(err, manager.ErrCommitted) {
					t.Errorf("%s: %v, want ErrCommitted", what, err)
				}
			}
			if r := tab.get(n, "/"); r.StatusCode != http.StatusOK || r.body != "begun" || len(r.Header["Set-Cookie"]) != 0 {
				t.Errorf("%s: %d %q, Set-Cookie %q", what, r.StatusCode, r.body, r.Header["Set-Cookie"])
			}
			done++
			wait.Until(t, "the late change is counted", func() bool { return n.Stats().Late == done })
		}
		n.handle = shop
		if r := tab.get(n, "/look"); r.body != "1" || idOf(tab.token(n)) != id {
			t.Errorf("after the late changes: %q", r.body)
		}
		wait.Until(t, "the hook", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == len(changes) })
		if told[0] != id {
			t.Errorf("Hooks.Late was told %q, want %q", told[0], id)
		}
		if got := strings.Count(log.String(), "level=ERROR"); got != len(changes) {
			t.Errorf("%d errors were logged for %d late changes", got, len(changes))
		}
	})
}

// logged keeps what was logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Whatever the handler has done by then, a failed commit leaves the ErrorHandler's answer and nothing else.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		// No request may notice before the commit that the lock has gone with the session, however slow the machine is.
		rarelyRenewed := func(c *manager.Config) { c.Retain, c.LockTTL = -1, time.Minute }
		n := serveBehind(t, on(t, b, rarelyRenewed), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Request-Id", "r1")
				w.Header().Set("Content-Language", "en")
				next.ServeHTTP(w, r)
			})
		})
		complaints := &logged{}
		n.Config.ErrorLog = log.New(complaints, "", 0)
		defer func() {
			if text := complaints.String(); text != "" {
				t.Errorf("net/http complains: %s", text)
			}
		}()
		for what, f := range failures {
			for way, do := range ways {
				n.handle = shop
				tab := newBrowser(t)
				tab.get(n, "/add")
				n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
					setHeaders(w)
					f.cause(t, n.Manager, s)
					do(t, w, r)
					if _, err := w.Write([]byte("more")); way != "nothing" && !errors.Is(err, f.err) {
						t.Errorf("%s, %s: Write returned %v, want %v", what, way, err, f.err)
					}
					if rc := http.NewResponseController(w); !errors.Is(rc.Flush(), f.err) {
						t.Errorf("%s, %s: Flush did not return %v", what, way, f.err)
					}
					if _, err := io.Copy(w, strings.NewReader("more")); !errors.Is(err, f.err) {
						t.Errorf("%s, %s: Copy returned %v, want %v", what, way, err, f.err)
					}
				}
				r := tab.do(n, http.MethodGet, f.path)
				if r.StatusCode != f.status {
					t.Errorf("%s, %s: status %d, want %d", what, way, r.StatusCode, f.status)
				}
				for name, want := range headersOfARefusal {
					if got := strings.Join(r.Header[name], "|"); got != want {
						t.Errorf("%s, %s: %s is %q, want %q", what, way, name, got, want)
					}
				}
				if strings.Contains(r.body, "body") || strings.Contains(r.body, "more") || strings.Count(r.body, "\n") != 1 {
					t.Errorf("%s, %s: body %q", what, way, r.body)
				}
				if secret := strings.Split(tab.token(n), ".")[1]; strings.Contains(r.body, secret) || strings.Contains(r.body, idOf(tab.token(n))) {
					t.Errorf("%s, %s: the answer tells about the session: %q", what, way, r.body)
				}
			}
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// setHeaders sets what a handler says about a body that is not going to be sent.
func setHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/csv")
	h.Set("ETag", `"mine"`)
	h.Set("Content-Length", "4")
	h.Set("Content-Language", "de")
	h.Set("Cache-Control", "public")
	http.SetCookie(w, &http.Cookie{Name: "mine", Value: "1"})
}

// headersOfARefusal are what is left of that, and of what was set outside of the handler.
var headersOfARefusal = map[string]string{
	"X-Request-Id": "r1", "Content-Language": "en", "Content-Type": "text/plain; charset=utf-8",
	"Etag": "", "Set-Cookie": "", "Cache-Control": "no-store",
}

// serveBehind starts a replica with a middleware around the session's.
func serveBehind(t *testing.T, m *manager.Manager, outer func(http.Handler) http.Handler) *node {
	t.Helper()
	n := serve(t, m, nil)
	n.Config.Handler = outer(n.Config.Handler)
	return n
}

func TestRedisGoneAtTheCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var mu sync.Mutex
		var got error
		n, tap := tapped(t, b, func(c *manager.Config) {
			c.Timeout = 2 * time.Second // no machine is too busy for that
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				mu.Lock()
				got = err
				mu.Unlock()
				manager.DefaultErrorHandler(w, r, err)
			}
		})
		tab := newBrowser(t)
		tab.get(n, "/add")
		for what, c := range map[string]struct {
			fault func()
			err   error
		}{
			"cut":        {tap.Cut, manager.ErrUnavailable},
			"reply lost": {func() { tap.DropReplyOf(func([]string) bool { return true }) }, manager.ErrOutcomeUnknown},
		} {
			n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
				count.Set(s, count.Get(s)+1) // the one before may have been written
				c.fault()
				w.Header().Set("X-Mine", "1")
				fmt.Fprint(w, "done")
			}
			r := tab.get(n, "/")
			tap.Heal()
			mu.Lock()
			err := got
			mu.Unlock()
			unknown := errors.Is(err, manager.ErrOutcomeUnknown) // also after a cut, if the commit was on its way
			if !unknown && !errors.Is(err, c.err) {
				t.Errorf("%s: the ErrorHandler got %v, want %v", what, err, c.err)
			}
			retry := "1"
			if unknown {
				retry = ""
			}
			if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != retry || r.Header.Get("X-Mine") != "" || strings.Contains(r.body, "done") {
				t.Errorf("%s: %d %q, %v", what, r.StatusCode, r.body, r.Header)
			}
		}
	})
}

func TestPanicOfTheHandler(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		caught := make(chan any, 1)
		n := serveBehind(t, on(t, b, unretained), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					v := recover()
					caught <- v
					if v != nil {
						panic(http.ErrAbortHandler) // as net/http wants it, without a stack in the log
					}
				}()
				next.ServeHTTP(w, r)
			})
		})
		for _, value := range panics {
			for _, late := range []bool{false, true} {
				for _, path := range []string{"/", "/lazy/", "/opt/"} {
					n.handle = shop
					tab := newBrowser(t)
					tab.c.Transport = &http.Transport{DisableKeepAlives: true} // or it tries again by itself
					tab.get(n, "/add")
					<-caught
					n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
						count.Set(s, 2)
						if late {
							_ = http.NewResponseController(w).Flush()
							count.Set(s, 3)
						}
						panic(value)
					}
					if r, err := tab.try(t.Context(), n, path); err == nil {
						t.Errorf("%v on %s: the client got %d", value, path, r.StatusCode)
					}
					if got := <-caught; got != value {
						t.Errorf("%v on %s: the outer middleware caught %v", value, path, got)
					}
					unlocked(t, b.Client(t), b.Prefix)
					n.handle = shop
					want := "1"
					if late {
						want = "2" // what was committed with the first byte
					}
					if got := tab.get(n, "/look").body; got != want {
						t.Errorf("%v on %s, late %v: count is %q, want %q", value, path, late, got, want)
					}
					<-caught
				}
			}
		}
	})
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b, unretained), shop), serve(t, on(t, b, unretained), shop)
		tab := newBrowser(t)
		tab.get(n, "/add")
		for i, path := range []string{"/", "/lazy/", "/opt/"} {
			entered, left := make(chan struct{}), make(chan error, 1)
			n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
				count.Set(s, count.Get(s)+1)
				close(entered)
				<-r.Context().Done()
				left <- context.Cause(r.Context())
				name.Set(s, path)
				fmt.Fprint(w, "this is discarded")
			}
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			go func() { _, err := tab.try(ctx, n, path); gone <- err }()
			<-entered
			cancel()
			if err := <-gone; err == nil {
				t.Fatalf("%s: the client is still there", path)
			}
			if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, manager.ErrLockLost) {
				t.Errorf("%s: the handler's context ended with %v", path, err)
			}
			unlocked(t, b.Client(t), b.Prefix)
			wait.Until(t, path+": the commit", func() bool { return tab.get(other, "/look").body == fmt.Sprint(i+2) })
		}
	})
}

// failures are reasons for a commit to fail, and what the client gets to know of them.
var failures = map[string]struct {
	path   string
	cause  func(t *testing.T, m *manager.Manager, s *manager.Session)
	err    error
	status int
}{
	"revoked": {"/", func(t *testing.T, m *manager.Manager, s *manager.Session) {
		count.Set(s, 2)
		if n, err := m.Revoke(t.Context(), s.ID()); n != 1 || err != nil {
			t.Errorf("Revoke: %d, %v", n, err)
		}
	}, manager.ErrRemoved, http.StatusConflict},
	"conflict": {"/opt/", func(t *testing.T, m *manager.Manager, s *manager.Session) {
		count.Set(s, count.Get(s)+1)
		if err := m.Update(t.Context(), s.ID(), func(s *manager.Session) error { count.Set(s, 50); return nil }); err != nil {
			t.Error(err)
		}
	}, manager.ErrConflict, http.StatusConflict},
	"too large": {"/", func(_ *testing.T, _ *manager.Manager, s *manager.Session) {
		name.Set(s, strings.Repeat("x", 1<<20))
	}, manager.ErrTooLarge, http.StatusInternalServerError},
	"not encodable": {"/lazy/", func(_ *testing.T, _ *manager.Manager, s *manager.Session) {
		manager.Key[func()]("f").Set(s, func() {})
	}, manager.ErrEncode, http.StatusInternalServerError},
	"read-only": {"/ro/", func(_ *testing.T, _ *manager.Manager, s *manager.Session) {
		count.Set(s, 2)
	}, manager.ErrReadOnly, http.StatusInternalServerError},
}

// panics are values that handlers panic with.
var panics = []any{http.ErrAbortHandler, "a string", errors.New("an error")}
