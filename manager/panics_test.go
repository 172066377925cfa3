package manager_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

// Whatever function of the application's panics, and wherever it is called: the panic reaches the server, the lock is free at
// once, the next request is served, and Close returns, which the bubble checks.
func TestPanicsInTheApplicationsFunctions(t *testing.T) {
	change := func(m *manager.Manager, r *http.Request) { add(m.Session(r.Context())) }
	fail := func(m *manager.Manager, r *http.Request) {
		change(m, r)
		manager.Key[chan int]("k").Set(m.Session(r.Context()), nil)
	}
	unreadable := func(m *manager.Manager, r *http.Request) {
		name.Set(m.Session(r.Context()), "text")
		manager.Key[int]("name").Get(m.Session(r.Context()))
	}
	for place, do := range map[string]func(m *manager.Manager, r *http.Request){
		"Hooks.Opened":            change,
		"Hooks.Committed":         change,
		"Hooks.Committed, failed": fail,
		"Hooks.Undecodable":       unreadable,
		"Hooks.Late":              nil, // see late
		"Codec.Marshal":           change,
		"Codec.Unmarshal":         change,
		"Propagator.Extract":      change,
		"Propagator.Inject":       func(m *manager.Manager, r *http.Request) { m.Session(r.Context()).Rotate() },
		"Propagator.Remove":       func(m *manager.Manager, r *http.Request) { m.Session(r.Context()).Destroy() },
		"ErrorHandler":            fail,
		"Logger":                  fail,
		"Config.Mode":             change,
		"Store.Open":              change,
		"Store.Commit":            change,
		"the handler":             nil,
		"Key.Update":              nil,
		"Manager.Update":          nil,
		"Manager.View":            nil,
		"Manager.Create":          nil,
	} {
		for _, mode := range []manager.Mode{manager.Exclusive, manager.Lazy, manager.Optimistic} {
			t.Run(place+"/"+mode.String(), func(t *testing.T) {
				bubble(t, func(t *testing.T, v *virtual) {
					b := &bomb{}
					when := map[string]string{"Hooks.Committed, failed": "Hooks.Committed"}
					m := v.manager(func(c *manager.Config) {
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
					})
					_, token := visit(m, m.Handler, "", add)
					b.armed = place
					if at, ok := when[place]; ok {
						b.armed = at
					}
					id := idOf(token)
					panicked := func() (got any) {
						defer func() { got = recover() }()
						switch place {
						case "Manager.Update":
							_ = m.Update(t.Context(), id, func(*manager.Session) error { b.at(place); return nil })
						case "Manager.View":
							_ = m.View(t.Context(), id, func(*manager.Session) error { b.at(place); return nil })
						case "Manager.Create":
							_, _ = m.Create(t.Context(), func(*manager.Session) error { b.at(place); return nil })
						}
						r := httptest.NewRequest(http.MethodPost, "/", nil)
						r.AddCookie(&http.Cookie{Name: "session", Value: token})
						m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							switch {
							case do != nil:
								do(m, r)
							case place == "Key.Update":
								count.Update(m.Session(r.Context()), func(n int) int { b.at(place); return n })
							case place == "Hooks.Late":
								w.WriteHeader(http.StatusOK)
								change(m, r)
							default:
								change(m, r)
								b.at(place)
							}
						})).ServeHTTP(httptest.NewRecorder(), r)
						return nil
					}()
					if panicked == nil {
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
