package scs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// SessionManager is scs' SessionManager over a [manager.Manager]. Make it with New, set its fields before the first
// request, and do not copy it. Its methods are safe for concurrent use. Those that take a context without returning an
// error panic if LoadAndSave or Load has not put a session into it.
type SessionManager struct {
	// Lifetime is the longest time that a session lives. RenewToken starts it again. It must be
	// positive.
	//
	// New sets it to 24 hours.
	Lifetime time.Duration

	// IdleTimeout is how long a session may go unused before it expires. Reads count as use. Zero
	// or less means off.
	//
	// New sets it to 0.
	IdleTimeout time.Duration

	// Cookie describes the cookie that carries the token.
	//
	// New sets what scs sets: "session", HttpOnly, Path "/", SameSite=Lax, Persist.
	Cookie SessionCookie

	// Codec encodes values, each separately: Encode gets one value at a time, and no deadline. With GobCodec, types
	// other than the basic ones need gob.Register, as in scs.
	//
	// New sets it to GobCodec{}.
	Codec Codec

	// ErrorFunc answers a request whose session could not be opened or committed, or whose settings
	// are wrong. Nothing of the handler's response is sent.
	//
	// New sets it to manager.DefaultErrorHandler, which answers 409, 503 or 500. The error is logged in any case.
	ErrorFunc func(http.ResponseWriter, *http.Request, error)

	// HashTokenInStore exists so that programs that set it compile. It has no effect: Redis never
	// holds a token.
	HashTokenInStore bool

	// Config holds the settings that scs has no field for, such as TokenKeys, MaxUserSessions or
	// Logger. The fields Lifetime, IdleTimeout, Propagator, Codec, ErrorHandler and Insecure must
	// stay zero: set their counterparts above.
	//
	// If Prefix is empty it becomes "scs:" and the name of the cookie. If Mode is nil, GET and HEAD requests open their
	// session in mode Lazy, so that a page or a file that does not use it costs no round trip, and others in mode
	// Exclusive.
	Config manager.Config

	client redis.UniversalClient
	once   sync.Once
	m      *manager.Manager
	err    error // why there is no m
}

// Session is the former name of SessionManager.
//
// Deprecated: use SessionManager.
type Session = SessionManager

// New returns a SessionManager whose sessions are in Redis. The caller owns the client, which must
// live longer. The first use makes the underlying Manager, so that fields can be set before.
// Invalid fields are reported then, or when the application calls Manager.
func New(client redis.UniversalClient) *SessionManager {
	return &SessionManager{
		Lifetime: 24 * time.Hour,
		Cookie: SessionCookie{
			Name: "session", HttpOnly: true, Path: "/", SameSite: http.SameSiteLaxMode, Persist: true,
		},
		Codec:     GobCodec{},
		ErrorFunc: manager.DefaultErrorHandler,
		client:    client,
	}
}

// NewSession is the former name of New.
//
// Deprecated: use New.
func NewSession(client redis.UniversalClient) *SessionManager { return New(client) }

// Manager returns the underlying Manager, for what scs does not have, such as Revoke, RevokeUser
// and Stats. The first call makes it from the fields; later changes of them have no effect. If a
// field is invalid, every call returns an error that names it. Call Manager when the application
// starts, so that invalid fields are found before the first request.
func (s *SessionManager) Manager() (*manager.Manager, error) {
	s.once.Do(func() {
		var cfg manager.Config
		if cfg, s.err = s.config(); s.err == nil {
			s.m, s.err = manager.New(s.client, &cfg)
		}
		if s.err != nil {
			s.err = fmt.Errorf("scs: %w", s.err)
			s.logger().Error("holdfast: the session manager could not be made; every request is refused", "error", s.err)
		}
	})
	return s.m, s.err
}

// Close ends the underlying Manager, as manager.Manager.Close does. scs has no such method. Shut
// down the HTTP server first. The SessionManager cannot be used again. Close does not close the
// client.
func (s *SessionManager) Close(ctx context.Context) error {
	s.once.Do(func() { s.err = fmt.Errorf("scs: %w", manager.ErrClosed) })
	if s.m == nil {
		return nil
	}
	return s.m.Close(ctx)
}

// config turns the fields into the Manager's.
func (s *SessionManager) config() (manager.Config, error) {
	cfg := s.Config
	switch {
	case cfg.Lifetime != 0, cfg.IdleTimeout != 0, cfg.Propagator != nil, cfg.Codec != nil, cfg.ErrorHandler != nil, cfg.Insecure:
		return cfg, errors.New("SessionManager.Config: Lifetime, IdleTimeout, Propagator, Codec, ErrorHandler and Insecure must stay zero; set Lifetime, IdleTimeout, Cookie, Codec and ErrorFunc of the SessionManager")
	case s.Lifetime <= 0:
		return cfg, fmt.Errorf("SessionManager.Lifetime is %v: sessions would expire at once; set a positive duration", s.Lifetime)
	case s.Codec == nil:
		return cfg, errors.New("SessionManager.Codec is nil: set GobCodec{}, or leave what New has set")
	}
	carrier, err := s.Cookie.carrier()
	if err != nil {
		return cfg, err
	}
	cfg.Lifetime = s.Lifetime
	cfg.IdleTimeout = min(max(s.IdleTimeout, 0), s.Lifetime) // a longer one changes nothing: see SetDeadline
	cfg.Propagator = carrier
	cfg.Codec = values{s.Codec}
	cfg.ErrorHandler = s.refuse
	if cfg.Prefix == "" {
		cfg.Prefix = "scs:" + s.Cookie.Name
	}
	cfg.Mode = s.mode
	return cfg, nil
}

// mode is Config.Mode, or its default.
func (s *SessionManager) mode(r *http.Request) manager.Mode {
	if s.Config.Mode != nil {
		return s.Config.Mode(r)
	}
	return lazyReads(r)
}

// lazyReads takes no lock for pages and files that do not use their session.
func lazyReads(r *http.Request) manager.Mode {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return manager.Lazy
	}
	return manager.Exclusive
}

func (s *SessionManager) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if s.ErrorFunc == nil {
		manager.DefaultErrorHandler(w, r, err)
		return
	}
	s.ErrorFunc(w, r, err)
}

func (s *SessionManager) logger() *slog.Logger {
	if s.Config.Logger != nil {
		return s.Config.Logger
	}
	return slog.Default()
}
