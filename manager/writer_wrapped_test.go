package manager_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

func TestTimeoutHandlers(t *testing.T) {
	t.Parallel()
	const limit = 20 * time.Millisecond
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b, unretained)
		for what, timed := range map[string]func(http.Handler) http.Handler{
			"outside": func(h http.Handler) http.Handler { return http.TimeoutHandler(m.Handler(h), limit, "too slow") },
			"inside":  func(h http.Handler) http.Handler { return m.Handler(http.TimeoutHandler(h, limit, "too slow")) },
		} {
			var begun atomic.Bool // on a busy machine the time may be over before the handler runs
			goOn := make(chan struct{})
			finished := make(chan error, 100)
			n := &node{Manager: m, Server: httptest.NewServer(timed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				count.Set(s, count.Get(s)+1)
				if r.URL.Path != "/slow" {
					return
				}
				begun.Store(true)
				<-goOn
				name.Set(s, "after")
				_, err := fmt.Fprint(w, count.Get(s))
				finished <- err
			})))}
			tab := newBrowser(t)
			for tab.token(n) == "" {
				tab.get(n, "/quick")
			}
			wait.Until(t, what+": the record", func() bool { return stringOf(t, m, idOf(tab.token(n))) != "" })
			for !begun.Load() {
				if r := tab.get(n, "/slow"); r.StatusCode != http.StatusServiceUnavailable || r.body != "too slow" {
					t.Errorf("%s: %d %q", what, r.StatusCode, r.body)
				}
			}
			close(goOn)
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

// Frameworks demand a CloseNotify of the writer that they are given, and panic without one.
func TestCloseNotify(t *testing.T) {
	t.Parallel()
	m := on(t, redistest.Shared(t))
	told := make(chan bool, 1)
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		notifier, ok := w.(interface{ CloseNotify() <-chan bool })
		if !ok {
			t.Error("the writer has no CloseNotify")
			told <- false
			return
		}
		gone := notifier.CloseNotify()
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/none" {
			told <- gone != nil
			return
		}
		told <- <-gone
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/none", nil))
	if <-told {
		t.Error("a recorder knows when its client leaves")
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // the client leaves
	if !<-told {
		t.Error("it was not reported that the client left")
	}
}
