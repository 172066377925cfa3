package main

import (
	"context"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/doctor"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const doctorHelp = `Usage: holdfast doctor [flags]

Examines whether a Redis is fit to keep sessions: version, topology, eviction,
memory, buffers of pub/sub, persistence, clock; and tries on it what requests
do, with one session of its own, which it removes. Each line is ok, warn or
fail, with what to do. What this user may not ask for is a warning.

  -json           one JSON document

Exit status: 1 if anything fails.
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
