package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// The versions of miniredis and gopher-lua in go.mod are those that the engine knows. If this fails after an update,
// servers still work, slowly: read what they keep where, and change layout.go or plain.go.
func TestEngineFitsMiniredis(t *testing.T) {
	t.Parallel()
	if _, err := standard.inspect(); err != nil {
		t.Fatal(err)
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

// Without a layout a server is miniredis as it is, and the process says so once.
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
