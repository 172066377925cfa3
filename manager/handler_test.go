package manager_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// upload is a request that brings a file.
func upload(path string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\ncontent\r\n--x--\r\n"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	return r
}

// What is outside of a wrap finds in the request what handlers have put there, as without the wrap: the server removes
// the files of an upload by it, and metrics see the pattern that was matched.
func TestWrapsHideNothingFromOutside(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, second := v.manager(), v.manager(func(c *manager.Config) { c.Prefix = "second" })
		for what, wrap := range map[string]func(http.Handler) http.Handler{
			"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "read-only": m.ReadOnly, "a gate": m.Require,
			"nested":       func(h http.Handler) http.Handler { return m.Lazy(m.ReadOnly(h)) },
			"two managers": func(h http.Handler) http.Handler { return second.Handler(m.Handler(h)) },
		} {
			_, token := visit(m, m.Handler, "", add)
			for _, panics := range []bool{false, true} {
				mux := http.NewServeMux()
				mux.HandleFunc("POST /item/{id}", func(_ http.ResponseWriter, r *http.Request) {
					if err := r.ParseMultipartForm(1 << 20); err != nil {
						t.Error(err)
					}
					r.SetPathValue("extra", "e")
					r.Body = http.NoBody
					r.Trailer = http.Header{"T": {"1"}}
					if panics {
						panic("after the upload")
					}
				})
				r := upload("/item/7")
				r.AddCookie(&http.Cookie{Name: "session", Value: token})
				before := r.Context()
				func() {
					defer func() {
						if (recover() != nil) != panics {
							t.Errorf("%s: the panic did not come through", what)
						}
					}()
					wrap(mux).ServeHTTP(httptest.NewRecorder(), r)
				}()
				if r.MultipartForm == nil || len(r.MultipartForm.File["file"]) != 1 || r.Form == nil || r.Body != http.NoBody || r.Trailer.Get("T") != "1" {
					t.Errorf("%s, panics %v: form %v, body %v, trailer %v", what, panics, r.MultipartForm, r.Body, r.Trailer)
				}
				if r.Pattern != "POST /item/{id}" || r.PathValue("id") != "7" || r.PathValue("extra") != "e" {
					t.Errorf("%s, panics %v: pattern %q, values %q and %q", what, panics, r.Pattern, r.PathValue("id"), r.PathValue("extra"))
				}
				if _, ok := m.Lookup(r.Context()); ok || r.Context() != before {
					t.Errorf("%s, panics %v: the request has another context", what, panics)
				}
			}
		}
	})
}

// An ErrorHandler gets the request as the handler had it: with its session and the pattern that was matched.
func TestErrorHandlerGetsTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		var m *manager.Manager
		m = v.manager(func(c *manager.Config) {
			c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				if _, ok := m.Lookup(r.Context()); !ok || r.Pattern != "POST /{$}" {
					t.Errorf("session %v, pattern %q", ok, r.Pattern)
				}
				manager.DefaultErrorHandler(w, r, err)
			}
		})
		mux := http.NewServeMux()
		mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
			manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
			_, _ = io.WriteString(w, "saved")
		})
		rec := httptest.NewRecorder()
		m.Handler(mux).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
		if rec.Code != http.StatusInternalServerError {
			t.Errorf("%d %q", rec.Code, rec.Body)
		}
	})
}

// An ErrorHandler that answers nothing, or panics, leaves the client with 500. Those that answer are left alone.
func TestSilentErrorHandler(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for what, tt := range map[string]struct {
			handle func(http.ResponseWriter, *http.Request, error)
			status int
			body   string
		}{
			"nothing":     {func(http.ResponseWriter, *http.Request, error) {}, 500, "Something went wrong. Your change was not saved.\n"},
			"only header": {func(w http.ResponseWriter, _ *http.Request, _ error) { w.Header().Set("X-Why", "no") }, 500, "Something went wrong. Your change was not saved.\n"},
			"a panic":     {func(http.ResponseWriter, *http.Request, error) { panic("in the error handler") }, 500, "Something went wrong. Your change was not saved.\n"},
			"a status":    {func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusConflict) }, 409, ""},
			"a body":      {func(w http.ResponseWriter, _ *http.Request, _ error) { _, _ = io.WriteString(w, "sorry") }, 200, "sorry"},
			"the default, for all but conflicts": {func(w http.ResponseWriter, r *http.Request, err error) {
				if errors.Is(err, manager.ErrConflict) {
					http.Redirect(w, r, "/again", http.StatusSeeOther)
					return
				}
				manager.DefaultErrorHandler(w, r, err)
			}, 500, "Something went wrong. Your change was not saved.\n"},
		} {
			m := v.manager(func(c *manager.Config) { c.ErrorHandler = tt.handle })
			for how, h := range map[string]http.HandlerFunc{
				"with a response": func(w http.ResponseWriter, r *http.Request) {
					manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
					http.Redirect(w, r, "/done", http.StatusSeeOther)
				},
				"without one": func(_ http.ResponseWriter, r *http.Request) {
					manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
				},
				"recovered inside": func(w http.ResponseWriter, r *http.Request) {
					defer func() {
						if recover() != nil {
							w.WriteHeader(http.StatusOK)
						}
					}()
					manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
					_, _ = io.WriteString(w, "saved")
				},
			} {
				rec := httptest.NewRecorder()
				func() {
					defer func() { _ = recover() }()
					m.Handler(h).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
				}()
				if rec.Code != tt.status || rec.Body.String() != tt.body {
					t.Errorf("%s, %s: %d %q, want %d %q", what, how, rec.Code, rec.Body, tt.status, tt.body)
				}
			}
		}
	})
}

func readCount(m *manager.Manager, r *http.Request) { count.Get(m.Session(r.Context())) }

// varies are handlers, and whether what they answer depends on the session.
var varies = map[string]struct {
	handle func(m *manager.Manager, w http.ResponseWriter, r *http.Request)
	want   bool
}{
	"reads": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		readCount(m, r)
		_, _ = io.WriteString(w, "x")
	}, true},
	"reads its ID":  {func(m *manager.Manager, _ http.ResponseWriter, r *http.Request) { m.Session(r.Context()).ID() }, true},
	"asks for user": {func(m *manager.Manager, _ http.ResponseWriter, r *http.Request) { m.Session(r.Context()).User() }, true},
	"only looks it up": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		m.Lookup(r.Context())
		_, _ = io.WriteString(w, "x")
	}, false},
	"writes nothing": {func(m *manager.Manager, _ http.ResponseWriter, r *http.Request) { readCount(m, r) }, true},
	"does nothing":   {func(*manager.Manager, http.ResponseWriter, *http.Request) {}, false},
	"not modified": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		readCount(m, r)
		http.ServeContent(w, r, "x", time.Unix(1e9, 0), bytes.NewReader([]byte("x")))
	}, true},
	"an error": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		readCount(m, r)
		http.Error(w, "gone", http.StatusGone)
	}, true},
	"a stream": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		readCount(m, r)
	}, true},
	"another Vary": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept-Encoding")
		readCount(m, r)
	}, true},
	"the same Vary": {func(m *manager.Manager, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "accept, cookie,x-session-token")
		readCount(m, r)
	}, true},
	"a failed commit": {func(m *manager.Manager, _ http.ResponseWriter, r *http.Request) {
		manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
	}, true},
}

// A response whose handler has used the session says to caches that it depends on it, however it is sent; the response
// of a handler that has not may be shared.
func TestVaryBySession(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		for carrier, p := range map[string]manager.Propagator{
			"Cookie": nil, "X-Session-Token": manager.Header{}, "Authorization": manager.Header{Name: "Authorization"},
			"Cookie,X-Session-Token": manager.Chain{manager.Cookie{Insecure: true}, manager.Header{}}, "*": opaque{},
		} {
			m := v.manager(func(c *manager.Config) { c.Propagator = p })
			for what, tt := range varies {
				for _, wrap := range []func(http.Handler) http.Handler{m.Handler, m.Lazy, m.Optimistic, m.ReadOnly} {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header.Set("If-Modified-Since", time.Unix(1e9, 0).UTC().Format(http.TimeFormat))
					rec := httptest.NewRecorder()
					wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tt.handle(m, w, r) })).ServeHTTP(rec, r)
					vary := map[string]int{}
					for _, line := range rec.Result().Header["Vary"] {
						for name := range bytes.SplitSeq([]byte(line), []byte(",")) {
							vary[http.CanonicalHeaderKey(string(bytes.TrimSpace(name)))]++
						}
					}
					for name := range bytes.SplitSeq([]byte(carrier), []byte(",")) {
						if got := vary[string(name)]; (got > 0) != tt.want && !(what == "the same Vary" && carrier != "*") || got > 1 {
							t.Errorf("%s, by %s: Vary %q", what, carrier, rec.Result().Header["Vary"])
						}
					}
				}
			}
		}
	})
}

// A handler that reads the session after its first write, as a template may, still sends a page for one client only, and gets
// Vary. A handler that sets Cache-Control, or writes nothing, does not.
func TestVaryOfALateRead(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager()
		token := do(m, "", func(s *manager.Session) { count.Set(s, 7) })
		for _, tt := range []struct {
			what, token, control string
			writes, reads, want  bool
		}{
			{what: "reads late", token: token, writes: true, reads: true, want: true},
			{what: "sets Cache-Control", token: token, control: "public, max-age=60", writes: true},
			{what: "writes nothing", token: token},
			{what: "has no session", writes: true},
		} {
			for name, wrap := range map[string]func(http.Handler) http.Handler{
				"exclusive": m.Handler, "optimistic": m.Optimistic, "read-only": m.ReadOnly,
			} {
				n := 0
				rec, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
				r.AddCookie(&http.Cookie{Name: "session", Value: tt.token})
				wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tt.control != "" {
						w.Header().Set("Cache-Control", tt.control)
					}
					if tt.writes {
						_, _ = io.WriteString(w, "x")
					}
					if tt.reads {
						n = count.Get(m.Session(r.Context()))
					}
				})).ServeHTTP(rec, r)
				if tt.reads && n != 7 {
					t.Errorf("%s, %s: read %d", tt.what, name, n)
				}
				if got := rec.Result().Header["Vary"]; (len(got) == 1 && got[0] == "Cookie") != tt.want || len(got) > 1 {
					t.Errorf("%s, %s: Vary %q", tt.what, name, got)
				}
			}
		}
	})
}

// opaque is a Propagator without Vary, so that the headers it reads are unknown.
type opaque struct{}

func (opaque) Extract(*http.Request) (string, bool)          { return "", false }
func (opaque) Inject(http.ResponseWriter, string, time.Time) {}
func (opaque) Remove(http.ResponseWriter)                    {}
