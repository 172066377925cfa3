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

Lists the locks of sessions that requests hold at the moment, and who waits for
them, in order: those waited for the longest in front. ASKED is when a node
began to ask, by its own clock; it may have passed the lock on within itself.

  -watch          again every second, until Ctrl-C
  -for TIME       with -watch: end after this time
  -json           one JSON object per lock and line
`

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

// within is a context that ends after a time, if there is one.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
