package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// The versions of miniredis and gopher-lua in go.mod are those that the engine knows. If this fails after an update,
// servers still work, slowly: read what they keep where, and change layout.go or plain.go.
func TestEngineFitsMiniredis(t *testing.T) {
	t.Parallel()
	if _, err := standard.inspect(); err != nil {
		t.Fatal(err)
	}
}

// What sessions cost here depends on it: the engine runs every script of the library, and leaves none to miniredis.
func TestEngineRunsEveryScriptOfTheLibrary(t *testing.T) {
	t.Parallel()
	srv, err := InMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	m, err := manager.New(srv.Client(), &manager.Config{Insecure: true, IdleTimeout: time.Minute, Retain: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })

	const visits manager.Key[int] = "visits"
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		switch r.URL.Path {
		case "/login":
			s.BindUser("ann")
			fallthrough
		case "/write":
			visits.Set(s, visits.Get(s)+1)
		case "/logout":
			s.Destroy()
		}
	}))
	var cookie *http.Cookie
	for _, path := range []string{"/login", "/write", "/write", "/read", "/read", "/logout", "/login"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if cookie != nil {
			r.AddCookie(cookie)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, rec.Code)
		}
		if cookies := rec.Result().Cookies(); len(cookies) > 0 {
			cookie = cookies[0]
		}
	}
	if n, err := m.RevokeUser(t.Context(), "ann"); err != nil || n != 1 {
		t.Fatal(n, err)
	}

	l, err := standard.inspect()
	if err != nil {
		t.Fatal(err)
	}
	scripts := field(srv.mini, l.scripts).MapRange()
	seen := 0
	for ; scripts.Next(); seen++ {
		text := scripts.Value().String()
		if proto, err := compile(text); err != nil || !isPlain(proto) {
			t.Errorf("not plain (%v): %s", err, text)
		}
	}
	if seen < 8 {
		t.Errorf("the library has run %d scripts", seen)
	}
}

func TestLayoutOfAnotherMiniredis(t *testing.T) {
	t.Parallel()
	type db struct{ keys map[string]string }
	type mini struct {
		scripts map[string]string
		dbs     map[int]*db
	}
	type ctx struct {
		nested      bool
		transaction []func()
		subscriber  *int
		selectedDB  int
	}
	_, _, _ = db{}.keys, mini{}.scripts, mini{}.dbs // they are only looked at by reflection
	_, _, _, _ = ctx{}.nested, ctx{}.transaction, ctx{}.subscriber, ctx{}.selectedDB
	if err := new(layout).locate(reflect.TypeFor[*mini](), reflect.TypeFor[*ctx]()); err != nil {
		t.Fatalf("the same fields: %v", err)
	}
	for name, tt := range map[string]struct {
		mini, ctx reflect.Type
		missing   string
	}{
		"no state":    {reflect.TypeFor[*mini](), nil, "nested"},
		"not structs": {reflect.TypeFor[int](), reflect.TypeFor[*string](), "scripts"},
		"no field": {reflect.TypeFor[*mini](), reflect.TypeFor[*struct {
			nested      bool
			transaction []func()
			selectedDB  int
		}](), "subscriber"},
		"another type": {reflect.TypeFor[*mini](), reflect.TypeFor[*struct {
			nested      int
			transaction []func()
			subscriber  *int
			selectedDB  int
		}](), "nested"},
		"compiled scripts": {reflect.TypeFor[*struct {
			scripts map[string][]byte
			dbs     map[int]*db
		}](), reflect.TypeFor[*ctx](), "scripts"},
		"databases by name": {reflect.TypeFor[*struct {
			scripts map[string]string
			dbs     map[string]*db
		}](), reflect.TypeFor[*ctx](), "dbs"},
		"no keys": {reflect.TypeFor[*struct {
			scripts map[string]string
			dbs     map[int]*struct{ all map[string]string }
		}](), reflect.TypeFor[*ctx](), "keys"},
	} {
		if err := new(layout).locate(tt.mini, tt.ctx); err == nil || !strings.Contains(err.Error(), tt.missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a layout a server is miniredis as it is, and the process logs one warning.
func TestServerWithoutEngine(t *testing.T) { // not parallel: it reads the process' log
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)

	f := fitter{inspect: func() (*layout, error) { return nil, errors.New("it is another one") }}
	for range 3 {
		mini := miniredis.RunT(t)
		f.fit(mini)
		srv := newServer(mini, mini.Addr())
		rdb := srv.Client()
		ctx := context.Background()
		incr := redis.NewScript("redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 1) return redis.call('PTTL', KEYS[1])")
		for range 2 {
			if ms, err := incr.Run(ctx, rdb, []string{"n"}).Int(); err != nil || ms > 1 {
				t.Fatal(ms, err)
			}
		}
		for rdb.Exists(ctx, "n").Val() != 0 { // keys expire by themselves
		}
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "it is another one") {
		t.Errorf("log: %s", log.String())
	}
}
