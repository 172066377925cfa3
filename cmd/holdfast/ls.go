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

Lists sessions as it finds them, over every master: with SCAN in small steps,
so it may run on a busy Redis. SIZE is what a session occupies in Redis.

  -user NAME      sessions of this user; needs no scan
  -older TIME     created longer ago than this: 90s, 36h, 30d
  -newer TIME     created within this time
  -min-size SIZE  occupying at least this: 4096, 16k, 2M
  -limit N        stop after N sessions
  -json           one JSON object per session and line

Exit status: 1 if the user of -user has no sessions.
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
