package gorilla

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/manager"
)

// Store is a [sessions.Store] over a [manager.Manager]. It is safe for concurrent use, as long as
// Options does not change.
type Store struct {
	// Options are copied into each session that is opened. MaxAge is kept. The others have to agree
	// with the Manager's cookie, or Get and Save return an error; see the package documentation.
	//
	// NewStore sets them to the settings of the Manager's cookie, and MaxAge to the Manager's
	// Lifetime.
	Options *sessions.Options

	m *manager.Manager
}

var _ sessions.Store = (*Store)(nil)

// NewStore returns a Store whose sessions the Manager keeps. It needs no closing.
func NewStore(m *manager.Manager) *Store {
	options := ownOptions(m)
	return &Store{Options: &options, m: m}
}

// MaxAge sets Options.MaxAge, in seconds.
func (st *Store) MaxAge(age int) { st.Options.MaxAge = age }

// Get returns the session of that name, the same for all calls in one request. If it cannot be
// opened, or if the Store's Options do not fit, Get returns the error with a new, empty session
// that cannot be saved.
func (st *Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(st, name)
}

// New is Get without gorilla's registry: each call returns another session. If two of them are
// changed and saved, the second Save fails.
func (st *Store) New(r *http.Request, name string) (*sessions.Session, error) {
	s := sessions.NewSession(st, name)
	options := *st.Options
	s.Options, s.IsNew = &options, true
	if err := refuse(st.m, s.Options); err != nil {
		return s, fmt.Errorf("open session %q: %w", name, err)
	}
	o, err := st.open(r)
	if err != nil {
		return s, fmt.Errorf("open session %q: %w", name, err)
	}
	if err := o.fill(s); err != nil {
		return s, fmt.Errorf("open session %q: %w", name, err)
	}
	return s, nil
}

// errForeign refuses a Save that cannot be compared with what was read.
var errForeign = errors.New("it was not opened with this request: pass the request that Get or New was given, and check their error")

// Save stores the values of a session that Get or New returned for this request, or deletes them if
// its Options.MaxAge is negative. See the package documentation for what an error means.
func (st *Store) Save(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	err := errForeign
	if o, ok := r.Context().Value(contextKey{st}).(*opened); ok {
		err = o.save(w, s)
	}
	if err != nil {
		return fmt.Errorf("save session %q: %w", s.Name(), err)
	}
	return nil
}

// Session returns the Manager's session that holds the values, for what gorilla/sessions does not
// have: Rotate and BindUser at a login. It opens the session if necessary. The next Save, of any
// name, writes what is changed there.
func (st *Store) Session(r *http.Request) (*manager.Session, error) {
	o, err := st.open(r)
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	return o.current()
}

// contextKey finds what a request has opened in a Store.
type contextKey struct{ st *Store }

// open opens the session of the request once, and notes it in the request's context, as gorilla does with its registry.
func (st *Store) open(r *http.Request) (*opened, error) {
	ctx := r.Context()
	if o, ok := ctx.Value(contextKey{st}).(*opened); ok {
		return o, nil
	}
	o := &opened{m: st.m, read: map[*sessions.Session]stored{}}
	if _, wrapped := st.m.Lookup(ctx); wrapped {
		if _, err := st.m.Open(ctx); err != nil {
			return nil, err
		}
		o.ctx = ctx
	} else {
		loaded, err := st.m.LoadRequest(r, manager.Optimistic)
		if err != nil {
			return nil, err
		}
		o.ctx, o.request = loaded, r.WithContext(ctx)
	}
	*r = *r.WithContext(context.WithValue(ctx, contextKey{st}, o))
	return o, nil
}
