package manager_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// respond is a way in which a handler begins, and makes, its response.
type respond func(t *testing.T, w http.ResponseWriter, r *http.Request)

// ways are all of them. Those in silent begin nothing by themselves: net/http does when the handler has returned.
var ways = map[string]respond{
	"Write":       func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("body")) },
	"empty Write": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) },
	"WriteString": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") },
	"WriteHeader": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
	"204":         func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	"304":         func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	"redirect": func(_ *testing.T, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/there", http.StatusSeeOther)
	},
	"error": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such page", http.StatusNotFound)
	},
	"large body": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("holdfast"), 1<<17))
	},
	"Flush": func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
		f, ok := w.(http.Flusher)
		if !ok {
			t.Error("the writer is no http.Flusher")
			return
		}
		f.Flush()
	},
	"FlushError": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
	"ReadFrom": func(t *testing.T, w http.ResponseWriter, _ *http.Request) {
		rf, ok := w.(io.ReaderFrom)
		if !ok {
			t.Error("the writer is no io.ReaderFrom")
			return
		}
		_, _ = rf.ReadFrom(strings.NewReader("body"))
	},
	"Copy": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(strings.NewReader("body"), 4))
	},
	"ServeContent": func(_ *testing.T, w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "page.html", time.Time{}, strings.NewReader("<p>body</p>"))
	},
	"Hijack": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
		_ = w.Header().Write(buf)
		_, _ = buf.WriteString("\r\nbody")
		_ = buf.Flush()
	},
	"101": func(_ *testing.T, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "holdfast")
		w.WriteHeader(http.StatusSwitchingProtocols)
	},
	"nothing": func(*testing.T, http.ResponseWriter, *http.Request) {},
}

func begins(way string) bool { return way != "nothing" }

func TestT6CommitBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		other := serve(t, on(t, b), shop)
		for way, do := range ways {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				n := serve(t, on(t, b), nil)
				n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
					count.Set(s, 7)
					before := n.Stats().Commits
					do(t, w, r)
					if after := n.Stats().Commits; after-before == 1 != begins(way) {
						t.Errorf("%s %s: %d commits when the response had begun", method, way, after-before)
					}
				}
				tab := newBrowser(t)
				r := tab.do(n, method, "/")
				cookies := r.Cookies()
				if len(cookies) != 1 || len(r.Header["Set-Cookie"]) != 1 {
					t.Fatalf("%s %s: Set-Cookie %q, want one", method, way, r.Header["Set-Cookie"])
				}
				tab.show(other, cookies[0].Value)
				if got := tab.get(other, "/look").body; got != "7" {
					t.Errorf("%s %s: another replica sees %q, want 7", method, way, got)
				}
			}
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// do makes a request and reads its header; of the body it takes what comes.
func (b *browser) do(n *node, method, path string) reply {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, n.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return reply{resp, ""}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Error(err)
	}
	return reply{resp, string(body)}
}

// A 103 is no response yet: it carries no cookie, and what is changed after it is committed.
func TestT6InformationalResponsesDoNotCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), nil)
		n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
			count.Set(s, 1)
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			if got := n.Stats().Commits; got != 0 {
				t.Errorf("%d commits after the early hints", got)
			}
			count.Set(s, 2)
			fmt.Fprint(w, "done")
			w.WriteHeader(http.StatusEarlyHints) // too late for it, and no harm
		}
		var early []textproto.MIMEHeader
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
				early = append(early, h)
				return nil
			},
		})
		tab := newBrowser(t)
		r, err := tab.try(ctx, n, "/")
		if err != nil {
			t.Fatal(err)
		}
		if len(early) != 2 || early[0].Get("Link") == "" || early[0].Get("Set-Cookie") != "" {
			t.Errorf("informational responses: %v", early)
		}
		if len(r.Header["Set-Cookie"]) != 1 || r.body != "done" {
			t.Errorf("response: %q, Set-Cookie %q", r.body, r.Header["Set-Cookie"])
		}
		n.handle = shop
		if got := tab.get(n, "/look").body; got != "2" {
			t.Errorf("what was set after the early hints: %q, want 2", got)
		}
	})
}

// A stream keeps nobody waiting: the lock goes with its first byte. The handler's context lives on, and so does what it
// has read.
func TestT7StreamingReleasesTheLock(t *testing.T) {
	t.Parallel()
	stream := map[string]func(w http.ResponseWriter, event func() bool) error{
		"server-sent events": func(w http.ResponseWriter, event func() bool) error {
			w.Header().Set("Content-Type", "text/event-stream")
			rc := http.NewResponseController(w)
			if err := errors.Join(rc.EnableFullDuplex(), rc.SetWriteDeadline(time.Time{}), rc.Flush()); err != nil {
				return err
			}
			for event() {
				if _, err := io.WriteString(w, "data: x\n\n"); err != nil {
					return err
				}
				if err := rc.Flush(); err != nil {
					return err
				}
			}
			return nil
		},
		"hijacked": func(w http.ResponseWriter, event func() bool) error {
			h, ok := w.(http.Hijacker)
			if !ok {
				return errors.New("the writer is no http.Hijacker")
			}
			conn, buf, err := h.Hijack()
			if err != nil {
				return err
			}
			defer conn.Close()
			_, _ = buf.WriteString("HTTP/1.1 200 OK\r\nConnection: close\r\n")
			_ = w.Header().Write(buf)
			_, _ = buf.WriteString("\r\n")
			if err := buf.Flush(); err != nil {
				return err
			}
			for event() {
				_, _ = buf.WriteString("data: x\n\n")
				if err := buf.Flush(); err != nil {
					return err
				}
			}
			return nil
		},
	}
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, run := range stream {
			for _, changes := range []bool{true, false} {
				n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
				tab := newBrowser(t)
				tab.get(n, "/add")
				events := make(chan bool)
				n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
					if changes {
						count.Set(s, count.Get(s)+1)
					}
					if err := run(w, func() bool { return <-events }); err != nil {
						t.Errorf("%s: %v", what, err)
					}
					if err := r.Context().Err(); err != nil && what != "hijacked" {
						t.Errorf("%s: the context of the stream ended: %v", what, context.Cause(r.Context()))
					}
					if count.Get(s) < 1 {
						t.Errorf("%s: the session cannot be read while it streams", what)
					}
				}
				resp, err := tab.c.Get(n.URL + "/")
				if err != nil {
					t.Fatal(err)
				}
				events <- true
				if line, err := bufio.NewReader(resp.Body).ReadString('\n'); line != "data: x\n" {
					t.Errorf("%s: the first event is %q, %v", what, line, err)
				}
				want := "2"
				if changes {
					want = "3"
				}
				if got := tab.get(other, "/add").body; got != want {
					t.Errorf("%s: while it streams another replica says %q, want %q", what, got, want)
				}
				unlocked(t, b.Client(t), b.Prefix)
				events <- true
				events <- false
				_ = resp.Body.Close()
			}
		}
	})
}

// sendfile is a writer below the session's that notes whether the fast path is taken.
type sendfile struct {
	http.ResponseWriter
	used int64
}

func (w *sendfile) ReadFrom(r io.Reader) (int64, error) {
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	w.used += n
	return n, err
}

func TestT7FilesTakeTheFastPath(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		file := filepath.Join(t.TempDir(), "file.txt")
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 1<<16), 0o600); err != nil {
			t.Fatal(err)
		}
		h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			count.Set(m.Session(r.Context()), 1)
			http.ServeFile(w, r, file)
		}))
		fast := make(chan int64, 1)
		n := &node{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			below := &sendfile{ResponseWriter: w}
			h.ServeHTTP(below, r)
			fast <- below.used
		}))}
		t.Cleanup(n.Server.Close)
		tab := newBrowser(t)
		r := tab.get(n, "/")
		if len(r.body) != 1<<16 || r.ContentLength != 1<<16 || tab.token(n) == "" {
			t.Errorf("%d bytes of %d, token %q", len(r.body), r.ContentLength, tab.token(n))
		}
		if used := <-fast; used != 1<<16 {
			t.Errorf("%d bytes went by ReadFrom of the writer below, want all %d", used, 1<<16)
		}
	})
}

func TestT8ChangeAfterTheResponseBegan(t *testing.T) {
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
			eventually(t, "the late change is counted", func() bool { return n.Stats().Late == done })
		}
		n.handle = shop
		if r := tab.get(n, "/look"); r.body != "1" || idOf(tab.token(n)) != id {
			t.Errorf("after the late changes: %q", r.body)
		}
		eventually(t, "the hook", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == len(changes) })
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

// Whatever the handler has done by then, a failed commit leaves the ErrorHandler's answer and nothing else.
func TestT9FailedCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serveBehind(t, on(t, b), func(next http.Handler) http.Handler {
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
					h := w.Header()
					h.Set("Content-Type", "text/csv")
					h.Set("ETag", `"mine"`)
					h.Set("Content-Length", "4")
					h.Set("Content-Language", "de")
					h.Set("Cache-Control", "public")
					http.SetCookie(w, &http.Cookie{Name: "mine", Value: "1"})
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
				for name, want := range map[string]string{
					"X-Request-Id": "r1", "Content-Language": "en", "Content-Type": "text/plain; charset=utf-8",
					"Etag": "", "Set-Cookie": "", "Cache-Control": "no-store",
				} {
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

// serveBehind starts a replica with a middleware around the session's.
func serveBehind(t *testing.T, m *manager.Manager, outer func(http.Handler) http.Handler) *node {
	t.Helper()
	n := serve(t, m, nil)
	n.Config.Handler = outer(n.Config.Handler)
	return n
}

func TestT9RedisGoneAtTheCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		var mu sync.Mutex
		var got error
		n, tap := tapped(t, b, func(c *manager.Config) {
			c.Timeout = 300 * time.Millisecond
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

// panics are values that handlers panic with.
var panics = []any{http.ErrAbortHandler, "a string", errors.New("an error")}

func TestT10Panic(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		caught := make(chan any, 1)
		n := serveBehind(t, on(t, b), func(next http.Handler) http.Handler {
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

func TestT10ClientGone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
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
				fmt.Fprint(w, "nobody reads this")
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
			eventually(t, path+": the commit", func() bool { return tab.get(other, "/look").body == fmt.Sprint(i+2) })
		}
	})
}

func TestTimeoutHandlers(t *testing.T) {
	t.Parallel()
	const limit = 20 * time.Millisecond
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		slow := make(chan struct{})
		finished := make(chan error, 1)
		work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			count.Set(s, count.Get(s)+1)
			if r.URL.Path != "/quick" {
				<-slow
			}
			name.Set(s, "after")
			_, err := fmt.Fprint(w, count.Get(s))
			finished <- err
		})
		for what, h := range map[string]http.Handler{
			"outside": http.TimeoutHandler(m.Handler(work), limit, "too slow"),
			"inside":  m.Handler(http.TimeoutHandler(work, limit, "too slow")),
		} {
			n := &node{Manager: m, Server: httptest.NewServer(h)}
			tab := newBrowser(t)
			for tab.token(n) == "" { // on a busy machine even the quick one may be too slow
				tab.get(n, "/quick")
				<-finished
			}
			var before string
			eventually(t, what+": the record", func() bool { before = stringOf(t, m, idOf(tab.token(n))); return before != "" })
			if r := tab.get(n, "/slow"); r.StatusCode != http.StatusServiceUnavailable || r.body != "too slow" {
				t.Errorf("%s: %d %q", what, r.StatusCode, r.body)
			}
			slow <- struct{}{}
			if err := <-finished; !errors.Is(err, http.ErrHandlerTimeout) && what == "inside" {
				t.Errorf("%s: the slow handler's Write: %v", what, err)
			}
			unlocked(t, b.Client(t), b.Prefix)
			n.Server.Close()
		}
	})
}

// stringOf shows the count and the name in a session.
func stringOf(t *testing.T, m *manager.Manager, id string) (text string) {
	t.Helper()
	if err := m.View(context.Background(), id, func(s *manager.Session) error {
		text = fmt.Sprint(count.Get(s), name.Get(s))
		return nil
	}); err != nil && !errors.Is(err, manager.ErrNotFound) {
		t.Error(err)
	}
	return text
}

// zipped is a middleware that compresses, as there are many: its writer knows no Flush and no Unwrap.
func zipped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		next.ServeHTTP(zipper{w, z}, r)
	})
}

type zipper struct {
	below http.ResponseWriter
	z     *gzip.Writer
}

func (w zipper) Header() http.Header         { return w.below.Header() }
func (w zipper) WriteHeader(status int)      { w.below.WriteHeader(status) }
func (w zipper) Write(p []byte) (int, error) { return w.z.Write(p) }

func TestCompressionAround(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		work := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			count.Set(s, count.Get(s)+1)
			if r.URL.Path == "/fail" {
				name.Set(s, strings.Repeat("x", 1<<20))
			}
			fmt.Fprint(w, strings.Repeat("page ", 1000))
			_ = http.NewResponseController(w).Flush() // outside of a zipper there is none, and that is said
		})
		for what, h := range map[string]http.Handler{"outside": zipped(m.Handler(work)), "inside": m.Handler(zipped(work))} {
			n := &node{Manager: m, Server: httptest.NewServer(h)}
			tab := newBrowser(t)
			if r := tab.get(n, "/"); len(r.body) != 5000 || len(r.Header["Set-Cookie"]) != 1 {
				t.Errorf("%s: %d bytes, Set-Cookie %q", what, len(r.body), r.Header["Set-Cookie"])
			}
			if r := tab.get(n, "/fail"); r.StatusCode != http.StatusInternalServerError || !strings.HasPrefix(r.body, "Something went wrong") {
				t.Errorf("%s, failed: %d %q", what, r.StatusCode, r.body)
			}
			n.Server.Close()
		}
	})
}

// Wraps of one Manager may nest, in any order; one cookie comes of it, and no request waits for itself.
func TestNestedWraps(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, func(c *manager.Config) { c.LockWait = 500 * time.Millisecond })
		wraps := map[string]func(http.Handler) http.Handler{
			"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly,
		}
		for outer, wrapOuter := range wraps {
			for inner, wrapInner := range wraps {
				if outer == "read-only" && inner == "read-only" {
					continue
				}
				h := wrapInner(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := m.Session(r.Context())
					count.Set(s, count.Get(s)+1)
					fmt.Fprint(w, count.Get(s))
				}))
				n := &node{Manager: m, Server: httptest.NewServer(wrapOuter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					count.Get(m.Session(r.Context())) // the outer one is in use
					h.ServeHTTP(w, r)
				})))}
				tab := newBrowser(t)
				for i := 1; i <= 2; i++ {
					r := tab.get(n, "/")
					if r.body != fmt.Sprint(i) || len(r.Header["Set-Cookie"]) != 2-i {
						t.Errorf("%s in %s, request %d: %d %q, Set-Cookie %q", inner, outer, i, r.StatusCode, r.body, r.Header["Set-Cookie"])
					}
				}
				n.Server.Close()
			}
		}
	})
}

func TestRequestBodyTooLarge(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), nil)
		n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			count.Set(s, 1)
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
			if large := (*http.MaxBytesError)(nil); !errors.As(err, &large) {
				t.Errorf("read: %v", err)
			}
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}
		resp, err := newBrowser(t).c.Post(n.URL, "text/plain", strings.NewReader(strings.Repeat("x", 1000)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge || len(resp.Cookies()) != 1 {
			t.Errorf("%d, cookies %v", resp.StatusCode, resp.Cookies())
		}
	})
}

// A handler may leave the writing to a goroutine of its own.
func TestWriteFromAGoroutine(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b), nil)
		n.handle = func(w http.ResponseWriter, _ *http.Request, s *manager.Session) {
			var wg sync.WaitGroup
			wg.Go(func() {
				count.Set(s, 4)
				fmt.Fprint(w, count.Get(s))
			})
			wg.Wait()
		}
		tab := newBrowser(t)
		if r := tab.get(n, "/"); r.body != "4" || tab.token(n) == "" {
			t.Errorf("%q, token %q", r.body, tab.token(n))
		}
	})
}

// Below the session's writer there may be one that can neither flush nor be hijacked.
func TestPlainWriterBelow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		rec := httptest.NewRecorder()
		plain := struct{ http.ResponseWriter }{rec}
		m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			count.Set(m.Session(r.Context()), 1)
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("Hijack: %v", err)
			}
			if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("SetReadDeadline: %v", err)
			}
			_, _ = io.Copy(w, strings.NewReader("body"))
		})).ServeHTTP(plain, httptest.NewRequest(http.MethodGet, "/", nil))
		if r := rec.Result(); len(r.Cookies()) != 1 || rec.Body.String() != "body" {
			t.Errorf("%v %q", r.Cookies(), rec.Body)
		}
	})
}
