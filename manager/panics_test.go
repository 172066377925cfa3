package manager_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/store"
	"github.com/holdfast-go/holdfast/store/memory"
)

// bomb panics once, in the function of the application's that it is armed for.
type bomb struct{ armed string }

func (b *bomb) at(place string) {
	if b.armed == place {
		b.armed = ""
		panic("in " + place)
	}
}

type bombCodec struct{ *bomb }

func (c bombCodec) Marshal(v any) ([]byte, error) {
	c.at("Codec.Marshal")
	return manager.JSON{}.Marshal(v)
}

func (c bombCodec) Unmarshal(data []byte, v any) error {
	c.at("Codec.Unmarshal")
	return manager.JSON{}.Unmarshal(data, v)
}

type bombPropagator struct {
	manager.Cookie
	*bomb
}

func (p bombPropagator) Extract(r *http.Request) (string, bool) {
	p.at("Propagator.Extract")
	return p.Cookie.Extract(r)
}

func (p bombPropagator) Inject(w http.ResponseWriter, token string, expires time.Time) {
	p.at("Propagator.Inject")
	p.Cookie.Inject(w, token, expires)
}

func (p bombPropagator) Remove(w http.ResponseWriter) {
	p.at("Propagator.Remove")
	p.Cookie.Remove(w)
}

func (p bombPropagator) Vary() []string {
	p.at("Propagator.Vary")
	return p.Cookie.Vary()
}

type bombLog struct {
	slog.Handler
	*bomb
}

func (l bombLog) Handle(ctx context.Context, r slog.Record) error {
	l.at("Logger")
	return l.Handler.Handle(ctx, r)
}

type bombStore struct {
	store.Sessions
	*bomb
}

func (s bombStore) Open(ctx context.Context, q store.Query) (*store.Opened, error) {
	s.at("Store.Open")
	return s.Sessions.Open(ctx, q)
}

func (s bombStore) Commit(ctx context.Context, c *store.Commit) (*store.Committed, error) {
	s.at("Store.Commit")
	return s.Sessions.Commit(ctx, c)
}

func fail(s *manager.Session) {
	add(s)
	manager.Key[chan int]("k").Set(s, nil)
}

func readWrongly(s *manager.Session) {
	name.Set(s, "text")
	manager.Key[int]("name").Get(s)
}

// places are where the bomb may be armed, with what a handler does to reach them. Those without are reached in ways of
// their own.
var places = map[string]func(s *manager.Session){
	"Hooks.Opened":            add,
	"Hooks.Committed":         add,
	"Hooks.Committed, failed": fail,
	"Hooks.Undecodable":       readWrongly,
	"Hooks.Late":              nil,
	"Codec.Marshal":           add,
	"Codec.Unmarshal":         add,
	"Propagator.Extract":      add,
	"Propagator.Inject":       (*manager.Session).Rotate,
	"Propagator.Remove":       (*manager.Session).Destroy,
	"ErrorHandler":            fail,
	"Logger":                  fail,
	"Config.Mode":             add,
	"Store.Open":              add,
	"Store.Commit":            add,
	"the handler":             nil,
	"Key.Update":              nil,
	"Manager.Update":          nil,
	"Manager.View":            nil,
	"Manager.Create":          nil,
}

// everywhere makes the bomb part of every function of the application's.
func (b *bomb) everywhere(place string, mode manager.Mode) func(*manager.Config) {
	return func(c *manager.Config) {
		c.Codec, c.Propagator = bombCodec{b}, bombPropagator{manager.Cookie{Insecure: true}, b}
		c.Logger = slog.New(bombLog{slog.NewTextHandler(io.Discard, nil), b})
		c.Mode = func(*http.Request) manager.Mode { b.at("Config.Mode"); return mode }
		c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
			b.at("ErrorHandler")
			manager.DefaultErrorHandler(w, r, err)
		}
		c.Hooks = manager.Hooks{
			Opened:      func(context.Context, manager.OpenEvent) { b.at("Hooks.Opened") },
			Committed:   func(context.Context, manager.CommitEvent) { b.at("Hooks.Committed") },
			Undecodable: func(context.Context, string, error) { b.at("Hooks.Undecodable") },
			Late:        func(context.Context, string) { b.at("Hooks.Late") },
		}
		if place == "Store.Open" || place == "Store.Commit" {
			c.Store = bombStore{memory.New(nil), b}
		}
	}
}

// goesOff does what reaches the place, and returns what it panics with.
func (b *bomb) goesOff(ctx context.Context, m *manager.Manager, token, place string) (got any) {
	defer func() { got = recover() }()
	hit := func(*manager.Session) error { b.at(place); return nil }
	switch place {
	case "Manager.Update":
		_ = m.Update(ctx, idOf(token), hit)
	case "Manager.View":
		_ = m.View(ctx, idOf(token), hit)
	case "Manager.Create":
		_, _ = m.Create(ctx, hit)
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.AddCookie(&http.Cookie{Name: "session", Value: token})
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		switch do := places[place]; {
		case do != nil:
			do(s)
		case place == "Key.Update":
			count.Update(s, func(n int) int { b.at(place); return n })
		case place == "Hooks.Late":
			w.WriteHeader(http.StatusOK)
			add(s)
		default:
			add(s)
			b.at(place)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	return nil
}

// Whatever function of the application's panics, and wherever it is called: the panic reaches the server, the lock is free at
// once, the next request is served, and Close returns, which the bubble checks.
func TestPanicsInTheApplicationsFunctions(t *testing.T) {
	for place := range places {
		for _, mode := range []manager.Mode{manager.Exclusive, manager.Lazy, manager.Optimistic} {
			t.Run(place+"/"+mode.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T, v *virtual) {
					b := &bomb{}
					m := v.manager(b.everywhere(place, mode))
					_, token := visit(m, m.Handler, "", add)
					b.armed, _, _ = strings.Cut(place, ",")
					if b.goesOff(t.Context(), m, token, place) == nil {
						t.Fatal("the panic did not reach the server")
					}
					start := time.Now()
					res, _ := visit(m, m.Handler, token, add)
					if took := time.Since(start); res.StatusCode != http.StatusOK || took > time.Second {
						t.Errorf("the next request: %d after %v", res.StatusCode, took)
					}
				})
			})
		}
	}
}
