package manager_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
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

func TestCommitBeforeTheFirstByte(t *testing.T) {
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

// net/http panics at a status that is none. A handler that panics commits nothing, also if middleware outside recovers.
func TestInvalidStatusCommitsNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		for _, status := range []int{-1, 0, 99, 1000} {
			rejected := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				count.Set(m.Session(r.Context()), 7)
				w.WriteHeader(status)
			}))
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("status %d: no panic", status)
					}
				}()
				rejected.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
			}()
			if n := m.Stats().Commits; n != 0 || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("status %d: %d commits, Set-Cookie %q, want none", status, n, w.Header().Get("Set-Cookie"))
			}
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// A 103 is no response yet: it carries no cookie, and what is changed after it is committed.
func TestInformationalResponsesDoNotCommit(t *testing.T) {
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

// A stream sends an event each time that event returns true.
type stream func(w http.ResponseWriter, event func() bool) error

func sendEvents(w http.ResponseWriter, event func() bool) error {
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
}

func hijack(w http.ResponseWriter, event func() bool) error {
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
}

// A stream keeps no request waiting: the lock goes with its first byte. The handler's context lives on, and so does what it
// has read.
func TestStreamingReleasesTheLock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, run := range map[string]stream{"server-sent events": sendEvents, "hijacked": hijack} {
			for _, changes := range []bool{true, false} {
				streams(t, b, what, run, changes)
			}
		}
	})
}

// streams runs one stream while another replica uses the session.
func streams(t *testing.T, b redistest.Backend, what string, run stream, changes bool) {
	t.Helper()
	n, other := serve(t, on(t, b), shop), serve(t, on(t, b), shop)
	tab := newBrowser(t)
	tab.get(n, "/add")
	events, ended := make(chan bool), make(chan struct{})
	send := func(more bool) {
		select {
		case events <- more:
		case <-ended:
			t.Errorf("%s: the stream has ended by itself", what)
		}
	}
	n.handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
		defer close(ended)
		if changes {
			count.Set(s, count.Get(s)+1)
		}
		err := run(w, func() bool {
			more := <-events
			if more && what != "hijacked" && r.Context().Err() != nil {
				t.Errorf("%s: the context of the stream ended: %v", what, context.Cause(r.Context()))
			}
			return more
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if count.Get(s) < 1 {
			t.Errorf("%s: the session cannot be read while it streams", what)
		}
	}
	resp, err := tab.c.Get(n.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	send(true)
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
	send(true)
	send(false)
	_ = resp.Body.Close()
}

// sendfile is a writer below the session's that counts the bytes that ReadFrom takes.
type sendfile struct {
	http.ResponseWriter
	used int64
}

func (w *sendfile) ReadFrom(r io.Reader) (int64, error) {
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	w.used += n
	return n, err
}

func TestFilesUseReadFrom(t *testing.T) {
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
