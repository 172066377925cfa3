package main

import (
	"context"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/doctor"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const doctorHelp = `Usage: holdfast doctor [flags]

Check whether a Redis is fit to keep sessions: version, topology, eviction,
memory, pub/sub buffers, persistence and clock. Then do what requests do, with
one session that is removed again. Each line begins with ok, warn or fail, and
says what to do. A check that the Redis user has no permission for is a warning.

  -json           print one JSON document

Exit status: 1 if a check failed.
`

func examine(ctx context.Context, args []string, p process) int {
	o := newOperator("doctor", doctorHelp)
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	if err := noArguments(rest); err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		healthy, err := doctor.Examine(ctx, t, w)
		if err == nil && !healthy {
			return errProblem
		}
		return err
	})
}
