package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/operate"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/report"
	"github.com/holdfast-go/holdfast/store"
)

const showHelp = `Usage: holdfast show ID [flags]

Show one session: its times, which replicas may hold a local copy, which one
holds its lock and which ones wait for it, and its keys. This is not a use of
the session: it does not extend its idle timeout.

  -values         show the values, too, except encrypted ones. They may be
                  private
  -json           print one JSON document

Exit status: 1 if there is no such session.
`

func show(ctx context.Context, args []string, p process) int {
	o := newOperator("show", showHelp)
	values := o.flags.Bool("values", false, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	err := checkIDs(rest)
	if len(rest) != 1 && err == nil {
		err = errors.New("give one session ID")
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		return explain(operate.Show(ctx, t, rest[0], *values, w), rest[0], t)
	})
}

// explain says what an answer about one session means.
func explain(err error, id string, t *target.Target) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("no session %s under the prefix %s: it has ended, or -prefix or -redis is wrong", id, report.Text(t.Prefix))
	case errors.Is(err, store.ErrCorrupt):
		return fmt.Errorf("the key of session %s was not written by Holdfast: inspect it with redis-cli TYPE and HGETALL %s",
			id, report.Text(keys.In(t.Prefix).Of(id).Record))
	case errors.Is(err, store.ErrNewerFormat):
		return fmt.Errorf("session %s was written by a newer release of Holdfast, in a format that this one cannot read: use the tool of that release", id)
	}
	return err
}
