package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// removeAfter is when a session is ended: its slow writers have read it by
// then, and have not written it yet.
const removeAfter = time.Millisecond

// removal returns an operation that makes a session, lets a slow request on
// each of two nodes increment it, ends it meanwhile, and looks when all are done
// whether it is there again. What becomes of the writers is not the question: a
// subject may let them finish first, or refuse them.
func removal(end func(ctx context.Context, n subject.Node, token string) error) Op {
	return func(ctx context.Context, s *Deployment, w *Worker) error {
		w.turn++
		at := func(i int) subject.Node { return s.Nodes[(w.Index+w.turn+i)%len(s.Nodes)] }
		token, err := at(0).Create(ctx, filler(s.Config.Payload))
		if err != nil {
			return fmt.Errorf("create: %w", err)
		}
		var writers sync.WaitGroup
		for i := range 2 {
			writers.Go(func() {
				_, _ = at(i).Increment(ctx, token, s.Config.Hold) // see above
			})
		}
		time.Sleep(removeAfter)
		err = end(ctx, at(1), token)
		writers.Wait()
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		s.removed.Add(1)
		_, err = at(0).Read(ctx, token)
		switch {
		case errors.Is(err, subject.ErrAbsent):
			return nil
		case err != nil:
			return fmt.Errorf("look for ended session: %w", err)
		}
		s.resurrected.Add(1)
		return nil
	}
}

func logout(ctx context.Context, n subject.Node, token string) error { return n.Remove(ctx, token) }

func revoke(ctx context.Context, n subject.Node, token string) error { return n.Revoke(ctx, token) }
