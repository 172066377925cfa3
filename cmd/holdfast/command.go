package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Exit statuses. Each command's help says what failed means for it.
const (
	succeeded = 0
	failed    = 1
	misused   = 2
)

// process is what a command has of the world around it.
type process struct {
	in        io.Reader
	out, errs io.Writer
	env       func(name string) string
}

// command is one subcommand. A new one is a value of this type in commands.
type command struct {
	name    string
	summary string // one line for the list
	run     func(ctx context.Context, args []string, p process) int
}

var commands = []command{
	{"demo", "run a shop on several replicas, to click on or to load", demo},
	{"ls", "list sessions, by user, age or size", ls},
	{"show", "show all that Redis holds of one session", show},
	{"revoke", "end sessions by ID, or those of a user, permanently", revoke},
	{"locks", "show who holds a session's lock, and who waits for it", locks},
	{"watch", "show the messages between replicas, as they come", watch},
	{"console", "serve a web page that shows and revokes sessions", serveConsole},
	{"failover", "replace a primary in a planned failover that loses no write", failOver},
	{"doctor", "check whether a Redis is fit to keep sessions", examine},
}

// run picks the subcommand and returns the process's exit status.
func run(ctx context.Context, args []string, p process) int {
	if len(args) == 0 {
		usage(p.errs)
		return misused
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		usage(p.out)
		return succeeded
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], p)
		}
	}
	fmt.Fprintf(p.errs, "holdfast: unknown command%s; see holdfast --help\n", quoted(args[0]))
	return misused
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Holdfast keeps HTTP sessions in Redis, for many replicas and many tabs at once.\n\nUsage: holdfast COMMAND [flags]\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nRun 'holdfast COMMAND --help' for flags. Exit status: 0 success, 1 error or\nproblem found, 2 usage error.\n")
}

// parse reads a command's flags, and returns the arguments that may stand anywhere among them. When ok is false the
// command ends with the status: help was printed, or one line about a mistake.
func parse(flags *flag.FlagSet, args []string, help string, p process) (rest []string, status int, ok bool) {
	flags.SetOutput(io.Discard) // flag would print its list after each mistake
	for len(args) > 0 {
		switch {
		case args[0] == "--":
			rest, args = append(rest, args[1:]...), nil
			continue
		case startsWithID(args[0]), !strings.HasPrefix(args[0], "-"): // an ID, or a token, may begin with a dash
			rest, args = append(rest, args[0]), args[1:]
			continue
		}
		n := min(len(args), words(flags, args[0]))
		err := flags.Parse(args[:n])
		switch {
		case errors.Is(err, flag.ErrHelp):
			fmt.Fprint(p.out, help)
			return nil, succeeded, false
		case err != nil:
			if strings.ContainsAny(strings.Join(args[:n], ""), "@:.") && words(flags, args[0]) == 1 { // it may hold a secret
				err = errors.New("unexpected argument, not shown since it may contain a secret")
			}
			return nil, misuse(flags, err, p), false
		}
		args = args[n:]
	}
	if err := empty(flags); err != nil {
		return nil, misuse(flags, err, p), false
	}
	return rest, succeeded, true
}

// empty is the mistake of a flag that is set to nothing, as by a variable that a shell does not know. Taken as a flag that
// is left out, -user would mean everyone.
func empty(flags *flag.FlagSet) (err error) {
	flags.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" {
			err = fmt.Errorf("-%s has no value: give one, or leave the flag out", f.Name)
		}
	})
	return err
}

// words is how many arguments a flag takes up, itself included.
func words(flags *flag.FlagSet, arg string) int {
	f := flags.Lookup(strings.TrimLeft(arg, "-"))
	if f == nil { // unknown, or its value is behind a "="
		return 1
	}
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return 1
	}
	return 2
}

// noArguments is the mistake of a command that takes none.
func noArguments(rest []string) error {
	if len(rest) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument%s", quoted(rest[0]))
}

func misuse(flags *flag.FlagSet, err error, p process) int {
	fmt.Fprintf(p.errs, "holdfast %s: %v; see holdfast %s --help\n", flags.Name(), err, flags.Name())
	return misused
}

var harmless = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)

// quoted repeats an argument in a message, unless it might be a token or a password.
func quoted(arg string) string {
	if !harmless.MatchString(arg) {
		return ""
	}
	return fmt.Sprintf(" %q", arg)
}
