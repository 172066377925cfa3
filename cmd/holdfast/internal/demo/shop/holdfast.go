package shop

import (
	"context"
	"fmt"
	"net/http"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

var cartKey = manager.Key[Cart]("cart")

// Holdfast keeps sessions with this module's manager, as an application does.
type Holdfast struct{ m *manager.Manager }

var _ Sessions = (*Holdfast)(nil)

// NewHoldfast keeps sessions as cfg says.
func NewHoldfast(client redis.UniversalClient, cfg *manager.Config) (*Holdfast, error) {
	m, err := manager.New(client, cfg)
	if err != nil {
		return nil, fmt.Errorf("start session manager: %w", err)
	}
	return &Holdfast{m: m}, nil
}

// Exclusive lets requests of one session pass one at a time.
func (h *Holdfast) Exclusive(next http.Handler) http.Handler { return h.m.Handler(next) }

// Fresh queries Redis and waits for no lock.
func (h *Holdfast) Fresh(next http.Handler) http.Handler { return h.m.Optimistic(next) }

// ReadOnly serves from the replica's memory where it can.
func (h *Holdfast) ReadOnly(next http.Handler) http.Handler { return h.m.ReadOnly(next) }

// Visit returns the request's session.
func (h *Holdfast) Visit(r *http.Request) Visit { return visit{h.m.Session(r.Context())} }

// Stats takes the manager's figures.
func (h *Holdfast) Stats() Stats {
	s := h.m.Stats()
	return Stats{LocalHits: s.LocalHits, Invalidations: s.Invalidations}
}

// Figures are all of the manager's.
func (h *Holdfast) Figures() manager.Stats { return h.m.Stats() }

// Retains reports whether the replica keeps the session's lock for its next request.
func (h *Holdfast) Retains(id string) bool { return h.m.Retains(id) }

// Node is the manager's name in Redis.
func (h *Holdfast) Node() string { return h.m.Node() }

// Close closes the manager.
func (h *Holdfast) Close(ctx context.Context) error { return h.m.Close(ctx) }

// visit puts the shop's names on a session.
type visit struct{ s *manager.Session }

var _ Visit = visit{}

func (v visit) ID() string       { return v.s.ID() }
func (v visit) IsNew() bool      { return v.s.IsNew() }
func (v visit) Superseded() bool { return v.s.Superseded() }
func (v visit) Cart() Cart       { return cartKey.Get(v.s) }
func (v visit) SetCart(c Cart)   { cartKey.Set(v.s, c) }
func (v visit) User() string     { return v.s.User() }
func (v visit) Logout()          { v.s.Destroy() }

func (v visit) Login(user string) {
	v.s.Rotate()
	v.s.BindUser(user)
}
