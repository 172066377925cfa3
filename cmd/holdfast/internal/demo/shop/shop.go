package shop

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of the shop's answers.
const (
	HeaderReplica = "X-Replica"           // which replica answered
	HeaderSession = "X-Session"           // the session's ID; absent when the request has none
	HeaderUser    = "X-User"              // who is logged in; absent when no user is
	HeaderCount   = "X-Cart-Count"        // items in the cart, after the request's own change
	HeaderWait    = "X-Wait-Microseconds" // from the request's arrival until its handler ran
)

// Config says how a replica's shop looks and behaves.
type Config struct {
	Replica string        // the name shown on the page and in HeaderReplica
	Variant string        // what keeps the sessions, for the page
	Backend string        // where they are kept, for the page
	Think   time.Duration // how long an add works between reading and writing the cart

	// Work is what an add does between reading and writing the cart. Nil waits for Think.
	Work func(ctx context.Context)
}

// Shop serves the pages. It is safe for concurrent use.
type Shop struct {
	sessions Sessions
	cfg      Config
	mux      *http.ServeMux
}

// New returns a shop that keeps its carts in sessions, which stay the caller's to close.
func New(sessions Sessions, cfg Config) *Shop {
	s := &Shop{sessions: sessions, cfg: cfg, mux: http.NewServeMux()}
	exclusive := func(h http.HandlerFunc) http.Handler { return sessions.Exclusive(s.entered(h)) }
	s.mux.Handle("GET /{$}", sessions.Fresh(s.entered(s.page)))
	s.mux.Handle("GET /cart", exclusive(s.cart))
	s.mux.Handle("GET /badge", sessions.ReadOnly(s.entered(s.cart)))
	s.mux.Handle("POST /cart/{sku}", exclusive(s.add))
	s.mux.Handle("POST /login", exclusive(s.login))
	s.mux.Handle("POST /logout", exclusive(s.logout))
	return s
}

type arrivalKey struct{}

// ServeHTTP notes the arrival and passes the request on.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(HeaderReplica, s.cfg.Replica)
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrivalKey{}, time.Now())))
}

// entered stands inside the session middleware: what has passed since the arrival went into opening the session.
func (s *Shop) entered(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(HeaderWait, strconv.FormatInt(waited(r).Microseconds(), 10))
		next(w, r)
	})
}

func waited(r *http.Request) time.Duration {
	return time.Since(r.Context().Value(arrivalKey{}).(time.Time))
}

// tell puts the session's public facts into the answer's header.
func tell(w http.ResponseWriter, v Visit, cart Cart) {
	h := w.Header()
	h.Set(HeaderSession, v.ID())
	h.Set(HeaderCount, strconv.Itoa(cart.Count()))
	if user := v.User(); user != "" {
		h.Set(HeaderUser, user)
	}
}

// known tells whether the request showed a token that opened a session.
func known(v Visit) bool { return !v.IsNew() && !v.Superseded() }

func (s *Shop) page(w http.ResponseWriter, r *http.Request) {
	v := s.sessions.Visit(r)
	if known(v) {
		tell(w, v, v.Cart())
	}
	s.render(w, r, v, http.StatusOK, "")
}

func (s *Shop) cart(w http.ResponseWriter, r *http.Request) {
	v := s.sessions.Visit(r)
	cart := v.Cart()
	if known(v) {
		tell(w, v, cart)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(strconv.Itoa(cart.Count()) + "\n"))
}

func (s *Shop) add(w http.ResponseWriter, r *http.Request) {
	v := s.sessions.Visit(r)
	if s.refuse(w, r, v) {
		return
	}
	p, ok := product(r.PathValue("sku"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	cart := v.Cart()
	s.work(r.Context())
	cart = cart.With(p.SKU)
	v.SetCart(cart)
	tell(w, v, cart)
	s.done(w, r)
}

func (s *Shop) login(w http.ResponseWriter, r *http.Request) {
	v := s.sessions.Visit(r)
	if s.refuse(w, r, v) {
		return
	}
	user := strings.TrimSpace(r.PostFormValue("user"))
	if user == "" || len(user) > 40 {
		s.complain(w, r, v, http.StatusBadRequest, "Please type a name of up to 40 letters.")
		return
	}
	v.Login(user)
	tell(w, v, v.Cart())
	s.done(w, r)
}

func (s *Shop) logout(w http.ResponseWriter, r *http.Request) {
	v := s.sessions.Visit(r)
	if s.refuse(w, r, v) {
		return
	}
	if known(v) {
		tell(w, v, v.Cart())
		v.Logout()
	}
	s.done(w, r)
}

// done answers a change that was made: the page follows, unless a script asks, to which the headers tell all.
func (s *Shop) done(w http.ResponseWriter, r *http.Request) {
	if scripted(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// scripted tells whether a script made the request, and wants no page.
func scripted(r *http.Request) bool { return r.Header.Get("Accept") == "text/plain" }

// complain answers a request that changed nothing.
func (s *Shop) complain(w http.ResponseWriter, r *http.Request, v Visit, status int, notice string) {
	if scripted(r) {
		http.Error(w, notice, status)
		return
	}
	s.render(w, r, v, status, notice)
}

// refuse answers 409 when a login in another tab has replaced the token that this request came with: nothing it
// stored would be kept. The browser has the new cookie by now or is about to get it, so the same click works again.
func (s *Shop) refuse(w http.ResponseWriter, r *http.Request, v Visit) bool {
	if !v.Superseded() {
		return false
	}
	s.complain(w, r, v, http.StatusConflict, "You logged in in another tab at the same moment. Nothing was changed; please click again.")
	return true
}

// work stands for the database query of a real handler. It ends early when the request is cut short.
func (s *Shop) work(ctx context.Context) {
	if s.cfg.Work != nil {
		s.cfg.Work(ctx)
		return
	}
	if s.cfg.Think <= 0 {
		return
	}
	t := time.NewTimer(s.cfg.Think)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
