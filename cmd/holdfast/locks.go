package main

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/operate"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const locksHelp = `Usage: holdfast locks [flags]

List the session locks that are held now, and the waiters of each in their
order. Locks with the longest wait come first. ASKED is when a node first asked
for the lock, by its own clock. It does not change while the node passes the
lock between its own requests.

  -watch          repeat every second, until Ctrl-C
  -for TIME       with -watch: end after this time
  -json           print one JSON object per line, for each lock
`

// locks is the command. All commands begin and end alike, and each says in between what its flags mean.
func locks(ctx context.Context, args []string, p process) int {
	o := newOperator("locks", locksHelp)
	again := o.flags.Bool("watch", false, "")
	length := o.flags.Duration("for", 0, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	err := noArguments(rest)
	switch {
	case *length < 0:
		err = errors.New("-for must not be negative")
	case *length > 0 && !*again:
		err = errors.New("-for is for -watch")
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		if !*again {
			return operate.Locks(ctx, t, w)
		}
		ctx, cancel := within(ctx, *length)
		defer cancel()
		return operate.WatchLocks(ctx, t, time.Second, w)
	})
}

// within is a context that ends after a time, if there is one. It has no deadline: a connection that notices a deadline
// before the context does would report it as a Redis that does not answer.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if d > 0 {
		timer := time.AfterFunc(d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	}
	return ctx, cancel
}
