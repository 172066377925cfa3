package scs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/adapter/scs"
)

// upload is a request that brings a file. The tests of the Manager's own middleware have the same, in another module.
func upload(path string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\ncontent\r\n--x--\r\n"))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	return r
}

// What handlers put into their request reaches the server, which removes the files of an upload by it, and middleware
// outside, which reads the pattern.
func TestRequestReachesOutside(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, panics := range []bool{false, true} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /item/{id}", func(_ http.ResponseWriter, r *http.Request) {
			if err := r.ParseMultipartForm(1 << 20); err != nil {
				t.Error(err)
			}
			if panics {
				panic("after the upload")
			}
		})
		r := upload("/item/7")
		before := r.Context()
		func() {
			defer func() {
				if (recover() != nil) != panics {
					t.Error("the panic did not come through")
				}
			}()
			s.LoadAndSave(mux).ServeHTTP(httptest.NewRecorder(), r)
		}()
		if r.MultipartForm == nil || len(r.MultipartForm.File["file"]) != 1 || r.Pattern != "POST /item/{id}" || r.PathValue("id") != "7" {
			t.Errorf("panics %v: form %v, pattern %q", panics, r.MultipartForm, r.Pattern)
		}
		if r.Context() != before {
			t.Error("the context has leaked")
		}
	}
}

// However a commit fails, the response is ErrorFunc's alone, and 500 if that writes nothing.
func TestFailedCommitIsErrorFuncsAlone(t *testing.T) {
	t.Parallel()
	failing := func(s *scs.SessionManager, commits bool) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.Put(r.Context(), "n", 1)
			if commits { // what follows is another commit, which the Manager's middleware does not know of
				if _, _, err := s.Commit(r.Context()); err != nil {
					t.Error(err)
				}
			}
			w.Header().Set("X-Before", "handler")
			s.Put(r.Context(), "f", func() {})
			_, _ = w.Write([]byte("page"))
			w.Header().Set("X-After", "handler")
		})
	}
	for what, answer := range map[string]func(http.ResponseWriter, *http.Request, error){
		"silent": func(http.ResponseWriter, *http.Request, error) {},
		"speaks": func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("X-Answer", "1")
			w.WriteHeader(http.StatusInternalServerError)
		},
	} {
		for _, commits := range []bool{false, true} {
			s := start(t)
			s.ErrorFunc = answer
			rec := httptest.NewRecorder()
			s.LoadAndSave(failing(s, commits)).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", nil))
			if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "page") {
				t.Errorf("%s, after a commit %v: %d %q", what, commits, rec.Code, rec.Body)
			}
			if h := rec.Header(); h.Get("X-Before")+h.Get("X-After") != "" || (h.Get("X-Answer") == "1") != (what == "speaks") {
				t.Errorf("%s, after a commit %v: %v", what, commits, h)
			}
			if set := rec.Result().Cookies(); len(set) != 0 != commits {
				t.Errorf("%s, after a commit %v: cookies %v", what, commits, set)
			}
		}
	}
}

// Wrong settings are no success, whatever ErrorFunc does.
func TestSilentErrorFuncOnWrongSettings(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.Lifetime = 0
	called := errors.New("not called")
	s.ErrorFunc = func(_ http.ResponseWriter, _ *http.Request, err error) { called = err }
	rec := httptest.NewRecorder()
	s.LoadAndSave(http.NotFoundHandler()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(context.Background()))
	if rec.Code != http.StatusInternalServerError || !strings.Contains(called.Error(), "Lifetime") {
		t.Errorf("%d, ErrorFunc got %v", rec.Code, called)
	}
}

// A page that reads its session only after its first byte sees it, as in scs, also where it is not opened before: GET
// requests are Lazy. What it changes then is lost, and logged. Afterwards nothing is left open.
func TestReadAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	s := start(t)
	var log bytes.Buffer
	s.Config.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h := s.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		switch r.URL.Path {
		case "/put":
			s.Put(ctx, "user", "bob")
			return
		case "/commit": // an early one, of nothing
			if _, _, err := s.Commit(ctx); err != nil {
				t.Error(err)
			}
		}
		_, _ = io.WriteString(w, "hello ")
		fmt.Fprint(w, s.GetString(ctx, "user"), s.Exists(ctx, "user"), s.Status(ctx))
		if r.URL.Path == "/change" {
			s.Put(ctx, "user", "eve")
		}
	}))
	b := visit(t, h)
	b.post("/put", nil)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, path := range []string{"/read", "/commit", "/change", "/read"} {
			log.Reset()
			got := b.do(method, path, nil)
			if got.body != "hello bobtrue unmodified" || len(got.cookies) != 0 {
				t.Errorf("%s %s: %v, cookies %v", method, path, got, got.cookies)
			}
			if text := log.String(); strings.Contains(text, "change discarded") != (path == "/change") || path != "/change" && text != "" {
				t.Errorf("%s %s: the log has %q", method, path, text)
			}
		}
	}
}
