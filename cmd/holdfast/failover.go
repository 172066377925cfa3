package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/failover"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const failoverHelp = `Usage: holdfast failover -sentinel NAME [flags]
       holdfast failover -cluster -master HOST:PORT [flags]

Replace a primary with one of its Redis replicas, without losing an acknowledged
write: pause writes, wait until a Redis replica has everything, promote it, and
resume writes. It refuses to begin if no Redis replica is fit.

  -master ADDR    in a cluster, the master to replace
  -pause TIME     resume writes after this time, whatever happens (8s)
  -dry-run        only check whether it can be done
  -yes            do not ask for confirmation
  -json           print one JSON object per line, for each step
`

func failOver(ctx context.Context, args []string, p process) int {
	o := newOperator("failover", failoverHelp)
	var cfg failover.Config
	o.flags.StringVar(&cfg.Master, "master", "", "")
	o.flags.DurationVar(&cfg.Pause, "pause", 8*time.Second, "")
	dry := o.flags.Bool("dry-run", false, "")
	yes := o.flags.Bool("yes", false, "")
	rest, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	err := noArguments(rest)
	switch {
	case err != nil:
	case cfg.Pause < time.Second || cfg.Pause > time.Minute:
		err = fmt.Errorf("-pause must be between 1s and 1m, not %v", cfg.Pause)
	case cfg.Master != "" && !target.IsAddress(cfg.Master):
		err = errors.New("-master needs HOST:PORT")
	case cfg.Master != "" && o.cfg.Sentinel != "":
		err = errors.New("-master is for a cluster: Sentinels know the primary")
	case !*yes && !*dry && !isTerminal(p.in):
		err = errNoTerminal
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		plan, err := failover.Plan(ctx, t, cfg, w)
		if err != nil {
			return err
		}
		defer func() { _ = plan.Close() }()
		if *dry {
			w.Line("%s can be replaced; nothing was changed", plan.Primary())
			return w.Err()
		}
		if !*yes {
			if err := ask(ctx, plan.Question(), "nothing was changed", p); err != nil {
				return err
			}
		}
		return plan.Run(ctx)
	})
}
