package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/failover"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/report"
)

// connectionHelp ends the help of all commands that look into a Redis.
const connectionHelp = `
  -redis ADDR     host:port or redis[s]://user@host:port/db (localhost:6379);
                  several, separated by commas, are nodes of a cluster
  -sentinel NAME  ADDR lists Sentinels, and NAME is the set that they watch
  -cluster        ADDR is one node of a cluster
  -prefix NAME    Config.Prefix of the application (holdfast)
  -timeout TIME   limit for each call to Redis (3s)
  -cacert, -cert, -key FILE  for rediss://: authority, client certificate, key
Put the password into HOLDFAST_REDIS_PASSWORD rather than into the URL.
`

// operator is one run of a command that looks into a Redis.
type operator struct {
	flags *flag.FlagSet
	help  string
	cfg   target.Config
	json  bool
}

func newOperator(name, help string) *operator {
	o := &operator{flags: flag.NewFlagSet(name, flag.ContinueOnError), help: help + connectionHelp}
	o.cfg.Register(o.flags)
	o.flags.BoolVar(&o.json, "json", false, "")
	return o
}

// parse reads flags and arguments, as the package's parse does, and what the flags say about the Redis.
func (o *operator) parse(args []string, p process) (rest []string, status int, ok bool) {
	if rest, status, ok = parse(o.flags, args, o.help, p); !ok {
		return nil, status, false
	}
	if err := o.cfg.Read(p.env); err != nil {
		return nil, misuse(o.flags, err, p), false
	}
	return rest, succeeded, true
}

func (o *operator) misuse(err error, p process) int { return misuse(o.flags, err, p) }

// errProblem ends a command whose output has said already what the problem is.
var errProblem = errors.New("a problem was found")

// run connects and does the work.
func (o *operator) run(ctx context.Context, p process, work func(*target.Target, *report.Writer) error) int {
	t, err := target.Open(ctx, o.cfg)
	diagnosis := func() []string { return []string{err.Error()} }
	if err == nil {
		defer func() { _ = t.Close() }() // only this process uses it, and its end is near
		err = work(t, report.NewWriter(p.out, o.json))
		diagnosis = func() []string { return t.Diagnose(ctx, err) }
	}
	switch {
	case errors.Is(err, errProblem):
		return failed
	case err != nil && ctx.Err() != nil && !errors.Is(err, failover.ErrInterrupted): // whose text says what is left behind
		fmt.Fprintf(p.errs, "holdfast %s: interrupted\n", o.flags.Name())
		return failed
	case err != nil:
		for _, line := range diagnosis() {
			fmt.Fprintf(p.errs, "holdfast %s: %s\n", o.flags.Name(), line)
		}
		return failed
	}
	return succeeded
}

// startsWithID reports whether an argument is an ID or a token.
func startsWithID(arg string) bool {
	id, _, _ := strings.Cut(arg, ".")
	return keys.IsID(id)
}

// checkIDs reports which argument is not a session ID, without repeating it: it may be a token.
func checkIDs(args []string) error {
	for i, arg := range args {
		switch {
		case keys.IsID(arg):
		case startsWithID(arg):
			return fmt.Errorf("argument %d is a token: give the %d characters before its dot, and revoke that session if others may have seen the token", i+1, keys.IDLen)
		default:
			return fmt.Errorf("argument %d is not a session ID: IDs have %d letters, digits, - or _; list them with holdfast ls", i+1, keys.IDLen)
		}
	}
	return nil
}
