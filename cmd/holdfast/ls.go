package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/operate"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const lsHelp = `Usage: holdfast ls [flags]

List sessions as they are found, on every master. It uses SCAN in small steps,
so it may run on a busy Redis. SIZE is the memory of the session in Redis.

  -user NAME      only sessions of this user; needs no scan
  -older TIME     only sessions created longer ago than this: 90s, 36h, 30d
  -newer TIME     only sessions created within this time
  -min-size SIZE  only sessions of at least this size: 4096, 16k, 2M
  -limit N        stop after N sessions
  -json           print one JSON object per line, for each session

Exit status: 1 if -user names a user without sessions.
`

func ls(ctx context.Context, args []string, p process) int {
	o := newOperator("ls", lsHelp)
	var f operate.Filter
	var size report.Size
	o.flags.StringVar(&f.User, "user", "", "")
	o.flags.Var((*report.Span)(&f.Older), "older", "")
	o.flags.Var((*report.Span)(&f.Newer), "newer", "")
	o.flags.Var(&size, "min-size", "")
	o.flags.IntVar(&f.Limit, "limit", 0, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	f.MinSize = int64(size)
	err := noArguments(rest)
	switch {
	case f.Limit < 0:
		err = errors.New("-limit must not be negative")
	case f.Newer > 0 && f.Older >= f.Newer:
		err = errors.New("-newer must be longer than -older, or no session matches both")
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		err := operate.List(ctx, t, f, w)
		if errors.Is(err, operate.ErrNoSessions) {
			err = fmt.Errorf("user %s has no sessions under the prefix %s", report.Text(f.User), report.Text(t.Prefix))
		}
		return err
	})
}
