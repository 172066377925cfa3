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

Show the messages between replicas as they come, until Ctrl-C, each with the
node that it was sent to:
  invalidation    a session has changed or ended
  grant           the node now holds a lock that it waited for
  recall          another node waits for a lock of this node
  probe           a heartbeat, which a node sends to itself

  -kind LIST      only these kinds, separated by commas
  -for TIME       end after this time
  -json           print one JSON object per line, for each message
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
