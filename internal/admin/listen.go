package admin

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/invalidate"
)

// Heard is one message between replicas.
type Heard struct {
	Node    string // to which it was sent; empty: to all
	Message invalidate.Message
	Known   bool // the message could be read
	Size    int
	Waited  time.Duration // of a grant: since the replica began to ask; negative if unknown
}

// Channels are the pattern and the channel that Listen subscribes to.
func (s *Sessions) Channels() (pattern, all string) { return s.space.NodePattern(), s.space.Nodes() }

// Listen subscribes to the messages between replicas and calls each with every one, until each returns false, ctx ends or
// the connection is lost. It calls subscribed when the subscription is confirmed. In a cluster it listens at one node,
// as replicas do.
func (s *Sessions) Listen(ctx context.Context, subscribed func(), each func(Heard) bool) error {
	masters, err := s.DB.Masters(ctx)
	if err != nil {
		return err
	}
	var first error
	for _, m := range masters { // go-redis would take the one that the pattern belongs to, though it may be dead
		heard := false
		err := s.listenAt(ctx, m, func() { heard = true; subscribed() }, each)
		if err == nil || heard || ctx.Err() != nil {
			return err
		}
		first = cmp.Or(first, err)
	}
	return first
}

func (s *Sessions) listenAt(ctx context.Context, client redis.UniversalClient, subscribed func(), each func(Heard) bool) error {
	ps := client.PSubscribe(ctx) // without patterns: nothing is sent yet
	defer ps.Close()
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })() // ends a read that has no deadline
	pattern, all := s.Channels()
	if err := errors.Join(ps.PSubscribe(ctx, pattern), ps.Subscribe(ctx, all)); err != nil {
		return err
	}
	for confirmed := 0; ; {
		timeout := time.Duration(0)
		if confirmed < 2 {
			timeout = s.DB.Timeout()
		}
		received, err := ps.ReceiveTimeout(ctx, timeout)
		if err != nil {
			return err
		}
		switch m := received.(type) {
		case *redis.Subscription:
			if confirmed++; confirmed == 2 {
				subscribed()
			}
		case *redis.Message:
			if !each(s.heard(m)) {
				return nil
			}
		}
	}
}

func (s *Sessions) heard(m *redis.Message) Heard {
	h := Heard{Size: len(m.Payload), Waited: -1}
	h.Node, _ = s.space.NodeOf(m.Channel)
	parsed, err := invalidate.Parse(m.Payload)
	if err != nil {
		return h
	}
	h.Message, h.Known = parsed, true
	if parsed.Kind == invalidate.KindGrant {
		if _, since := keys.ParseLockToken(parsed.Token); !since.IsZero() {
			h.Waited = max(0, s.Now().Sub(since))
		}
	}
	return h
}
