package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Exit statuses. Each command's help says what failed means for it.
const (
	succeeded = 0
	failed    = 1
	misused   = 2
)

// command is one subcommand. A new one is a value of this type in commands.
type command struct {
	name    string
	summary string // one line for the list
	run     func(ctx context.Context, args []string, out, errs io.Writer) int
}

var commands = []command{
	{"demo", "a shop on several replicas, to click on or to drive", demo},
}

// run picks the subcommand and returns the process's exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		usage(errs)
		return misused
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		usage(out)
		return succeeded
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], out, errs)
		}
	}
	fmt.Fprintf(errs, "holdfast: unknown command %q; see holdfast --help\n", args[0])
	return misused
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Holdfast keeps HTTP sessions in Redis, for many replicas and many tabs at once.\n\nUsage: holdfast COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nholdfast COMMAND --help tells a command's flags.\n")
}

// parse reads a command's flags, none of which may be followed by further arguments. When it returns false the
// command ends with the status: help was asked for and given, or a mistake is told in one line.
func parse(flags *flag.FlagSet, args []string, help string, out, errs io.Writer) (status int, ok bool) {
	flags.SetOutput(io.Discard) // flag would print its list after each mistake
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, help)
		return succeeded, false
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	default:
		return succeeded, true
	}
	return misuse(flags, err, errs), false
}

func misuse(flags *flag.FlagSet, err error, errs io.Writer) int {
	fmt.Fprintf(errs, "holdfast %s: %v; see holdfast %s --help\n", flags.Name(), err, flags.Name())
	return misused
}
