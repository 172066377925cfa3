// Command bench compares Holdfast with what its users would pick instead, on
// the same Redis in the same run, and with the least that any client could do.
//
//	go -C bench run . -quick
//	go -C bench run . -json results.json -html results.html
//	go -C bench run . -scenario rmw,contended -subject holdfast,scs,limit
//
// README.md says how to read what it prints. It ends with status 1 if Holdfast
// failed a request, lost an update or brought a removed session back,
// or missed one of the -goals.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	err := run(os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errInterrupted):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errInterrupted ends a run whose results were printed as far as there are any.
var errInterrupted = errors.New("interrupted")

func run(args []string) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	// A second interrupt ends the program at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()

	results, err := bench(ctx, opts)
	if results != nil {
		err = errors.Join(err, opts.publish(results)) // what there is, whatever happened
	}
	if err != nil {
		return err
	}
	unsafe, failed := 0, 0
	for _, subject := range []string{"holdfast", "holdfast-autopipe"} {
		unsafe += len(results.Unsafe(subject))
		failed += len(results.Failed(subject))
	}
	switch {
	case unsafe > 0:
		return fmt.Errorf("holdfast lost updates or brought sessions back in %d rows", unsafe)
	case failed > 0:
		return fmt.Errorf("holdfast failed requests in %d rows", failed)
	}
	if results.Cut {
		return errInterrupted
	}
	return opts.judge(results)
}
