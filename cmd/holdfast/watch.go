package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/operate"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const watchHelp = `Usage: holdfast watch [flags]

Shows the messages between replicas as they come, until Ctrl-C: to whom, and
what. An invalidation says that a session has changed or ended, a grant that a
lock was passed on, a recall that another replica waits for a lock, and by
probes a replica proves to itself that it hears.

  -kind LIST      only these, of invalidation,grant,recall,probe
  -for TIME       end after this time
  -json           one JSON object per message and line
`

func watch(ctx context.Context, args []string, p process) int {
	o := newOperator("watch", watchHelp)
	list := o.flags.String("kind", strings.Join(operate.Kinds, ","), "")
	length := o.flags.Duration("for", 0, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	err := noArguments(rest)
	kinds := strings.Split(*list, ",")
	for _, kind := range kinds {
		if !slices.Contains(operate.Kinds, kind) {
			err = fmt.Errorf("-kind knows %s only", strings.Join(operate.Kinds, ", "))
		}
	}
	if *length < 0 {
		err = errors.New("-for must not be negative")
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		ctx, cancel := within(ctx, *length)
		defer cancel()
		return operate.Watch(ctx, t, kinds, w)
	})
}
