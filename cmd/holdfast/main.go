// Command holdfast shows the library at work, and tells operators about the sessions in their Redis. Run it without
// arguments for the list of its subcommands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default comes back, so that a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	redis.SetLogger(quiet{})
	os.Exit(run(ctx, os.Args[1:], process{in: os.Stdin, out: os.Stdout, errs: os.Stderr, env: os.Getenv}))
}

// quiet keeps what go-redis logs from the terminal: the error that matters is printed once, in our words.
type quiet struct{}

// Printf implements the logger of go-redis.
func (quiet) Printf(context.Context, string, ...any) {}
