package scs

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// request is the session of one context. Like scs it hands out live values: what a handler has put or got and changes in
// place afterwards is stored as it is when the session is committed.
type request struct {
	s     *SessionManager
	m     *manager.Manager
	http  *http.Request // finds the session again after a Commit
	id    string        // in Iterate, it does
	below bool          // LoadAndSave made it: the Manager's middleware commits what it has opened

	mu    sync.Mutex // guards the rest; not held over calls to Redis
	open  func() opened
	apart bool           // it was opened by load, so the Manager's middleware does not know of it
	used  bool           // open was called
	idle  bool           // it was not used before the response began
	live  map[string]any // values that can be changed in place
	held  string         // the token that the client has, if it is known
}

// opened is a session that was opened, or why it was not.
type opened struct {
	ctx context.Context //nolint:containedctx // in which the Manager finds its session
	hs  *manager.Session
	err error
}

type contextKey struct{ s *SessionManager }

// lookup returns the session of a context, if there is one.
func (s *SessionManager) lookup(ctx context.Context) (*request, bool) {
	q, ok := ctx.Value(contextKey{s}).(*request)
	return q, ok
}

// of returns the session of a context, and panics without one, as scs does.
func (s *SessionManager) of(ctx context.Context) *request {
	q, ok := s.lookup(ctx)
	if !ok {
		panic("scs: no session in this context: wrap the handler with LoadAndSave, or call Load")
	}
	return q
}

func (q *request) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{q.s}, q)
}

// Load opens the session of a token, in one round trip, and returns a context with it. An empty or unknown token gives a
// new session. A context that has one already is returned as it is.
//
// Load takes no lock. If another request changes a value that this one has read or changed, the
// Commit fails with manager.ErrConflict.
func (s *SessionManager) Load(ctx context.Context, token string) (context.Context, error) {
	if _, ok := s.lookup(ctx); ok {
		return ctx, nil
	}
	m, err := s.Manager()
	if err != nil {
		return nil, err
	}
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: s.Cookie.Name, Value: token})
	}
	q := &request{s: s, m: m, http: r, apart: true, held: token}
	o := q.load(ctx)
	if o.err != nil {
		return nil, o.err
	}
	if o.hs.IsNew() {
		q.held = ""
	}
	q.open = func() opened { return o }
	return q.within(o.ctx), nil
}

// load opens the session apart from the Manager's middleware, with the token that it has by now.
func (q *request) load(ctx context.Context) opened {
	loaded, err := q.find(ctx)
	if err != nil {
		return opened{err: err}
	}
	return opened{ctx: loaded, hs: q.m.Session(loaded)}
}

func (q *request) find(ctx context.Context) (context.Context, error) {
	if q.id != "" {
		return q.m.LoadID(ctx, q.id)
	}
	return q.m.LoadRequest(q.http.WithContext(ctx), manager.Optimistic)
}

// now returns the session as it is opened now. After a Commit it is opened again.
func (q *request) now() opened {
	q.mu.Lock()
	open := q.open
	q.used = true
	q.mu.Unlock()
	return open()
}

// session is now without its error, which the next Commit returns.
func (q *request) session() *manager.Session { return q.now().hs }

// Commit stores what was changed. It returns the token for the client, and when that expires. It
// returns an empty token and the zero time if there is no session, because nothing was ever stored
// or it was destroyed. One round trip, or none if nothing has changed.
//
// The session may be used after Commit, which opens it again. In a handler below LoadAndSave,
// RenewToken and Destroy return an error after Commit.
func (s *SessionManager) Commit(ctx context.Context) (string, time.Time, error) {
	return s.of(ctx).commit()
}

func (q *request) commit() (token string, expiry time.Time, err error) {
	q.sync()
	o := q.now()
	if o.err != nil {
		return "", time.Time{}, o.err
	}
	token, expiry, err = q.m.Commit(o.ctx)
	if token != "" && expiry.IsZero() { // the browser is to forget it sooner, which WriteSessionCookie sees to
		expiry = o.hs.Deadline()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reopens(o)
	if err == nil {
		q.held = token
	}
	return token, expiry, err
}

// reopens lets the next use open the session again, apart from the Manager's middleware. It is called with mu held.
func (q *request) reopens(o opened) {
	q.open = sync.OnceValue(func() opened {
		again := q.load(o.ctx)
		if again.err != nil {
			again.hs = o.hs // it is readable, and refuses changes
		}
		return again
	})
	q.live, q.used, q.apart = nil, false, true
}

// begun is called when the response begins. A session that was not used so far can still be read: the Manager's
// middleware no longer opens it then, as it cannot tell caches; here every response has a Vary.
func (q *request) begun() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.used && !q.apart && q.s.mode(q.http) == manager.Lazy {
		q.reopens(q.open())
	}
	q.idle = !q.used
}

// end ends what was opened after the response had begun. Changes of it are lost, and logged.
func (q *request) end() {
	q.mu.Lock()
	late := q.idle && q.used && q.apart
	q.mu.Unlock()
	if !late {
		return
	}
	o := q.now()
	if o.err != nil {
		q.s.logger().Error("holdfast: session read after the response began; it could not be opened and reads as empty", "error", o.err)
		return
	}
	if q.sync(); o.hs.Status() != manager.Unmodified {
		q.s.logger().Error("holdfast: session changed after commit; change discarded; change the session before the first byte of the response",
			"method", q.http.Method, "pattern", q.http.Pattern)
	}
	q.m.Discard(o.ctx)
}

// commitTo commits what the Manager's middleware does not know of, before the first byte of a response.
func (q *request) commitTo(w http.ResponseWriter) error {
	q.sync()
	q.mu.Lock()
	idle := !q.apart || !q.used
	q.mu.Unlock()
	if idle {
		return nil
	}
	o := q.now()
	if o.err != nil {
		return o.err
	}
	return q.m.CommitResponse(o.ctx, w)
}

// sync puts live values that were changed in place into the session, and whether the browser keeps its cookie. Like scs
// it does so if the session is to be stored: because something else has changed, or because of an idle timeout.
func (q *request) sync() {
	q.mu.Lock()
	used, live := q.used, make(map[string]any, len(q.live))
	maps.Copy(live, q.live)
	q.mu.Unlock()
	if !used {
		return // it is not open, and this must not open it
	}
	hs := q.session()
	if hs.Status() == manager.Modified || q.s.IdleTimeout > 0 {
		for key, value := range live {
			q.store(hs, key, value)
		}
	}
	if hs.Status() == manager.Modified {
		hs.Remember(q.s.Cookie.Persist || as[bool](q.get(rememberMe)))
	}
}

// store sets a value that differs from what the session has.
func (q *request) store(hs *manager.Session, key string, value any) {
	if mutable(value) { // its encoding may differ although it is the same
		if there, ok, err := slotOf(key).Lookup(hs); ok && err == nil && reflect.DeepEqual(there.value, value) {
			return
		}
	}
	slotOf(key).Set(hs, slot{key, value})
}

// get returns a key's value, the same one for all who ask.
func (q *request) get(key string) any {
	q.mu.Lock()
	value, ok := q.live[key]
	q.mu.Unlock()
	if ok {
		return value
	}
	found, ok, err := slotOf(key).Lookup(q.session())
	if !ok || err != nil {
		return nil
	}
	return q.keep(key, found.value)
}

// pop returns a key's value to one of those who ask, and removes it.
func (q *request) pop(key string) any {
	q.mu.Lock()
	live, ok := q.live[key]
	q.mu.Unlock()
	popped := slotOf(key).Pop(q.session()).value
	if popped == nil { // there is none, it cannot be decoded, or another goroutine has it
		return nil
	}
	q.forget(key)
	if ok {
		return live
	}
	return popped
}

// keep notes a value that can be changed in place. Of two goroutines that ask at once both get the first one's.
func (q *request) keep(key string, value any) any {
	if !mutable(value) {
		return value
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if first, ok := q.live[key]; ok {
		return first
	}
	if q.live == nil {
		q.live = make(map[string]any)
	}
	q.live[key] = value
	return value
}

// forget drops live values: that of a key, or all.
func (q *request) forget(keys ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(keys) == 0 {
		q.live = nil
	}
	for _, key := range keys {
		delete(q.live, key)
	}
}

// mutable reports whether a value may be changed in place.
func mutable(v any) bool {
	if _, ok := v.(time.Time); ok || v == nil {
		return false
	}
	kind := reflect.TypeOf(v).Kind()
	return kind != reflect.String && (kind < reflect.Bool || kind > reflect.Complex128)
}

// late refuses what would need another cookie than the Manager's middleware is about to set.
func (q *request) late() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.below && q.apart {
		return manager.ErrCommitted
	}
	return nil
}
