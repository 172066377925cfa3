// Package ginstore is package gorilla for gin-contrib/sessions:
//
//	router.Use(sessions.Sessions("mysession", ginstore.New(m))) // was cookie.NewStore(key)
package ginstore

import (
	"net/http"

	ginsessions "github.com/gin-contrib/sessions"
	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/manager"
)

// Store is a gin-contrib store over a [manager.Manager]. Package gorilla says what it guarantees.
type Store struct{ store *gorilla.Store }

var _ ginsessions.Store = Store{}

// New returns a Store whose sessions the manager keeps.
func New(m *manager.Manager) Store { return Store{gorilla.NewStore(m)} }

// Get implements sessions.Store.
func (st Store) Get(r *http.Request, name string) (*sessions.Session, error) {
	return st.store.Get(r, name)
}

// New implements sessions.Store.
func (st Store) New(r *http.Request, name string) (*sessions.Session, error) {
	return st.store.New(r, name)
}

// Save implements sessions.Store.
func (st Store) Save(r *http.Request, w http.ResponseWriter, s *sessions.Session) error {
	return st.store.Save(r, w, s)
}

// Options sets what each session gets as its Options. What package gorilla says about them holds. Call it before serving.
func (st Store) Options(o ginsessions.Options) { st.store.Options = o.ToGorillaOptions() }

// Session returns the manager's session that holds the values, see [gorilla.Store.Session]. The request is that of the
// context when gin-contrib's middleware ran.
func (st Store) Session(r *http.Request) (*manager.Session, error) { return st.store.Session(r) }
