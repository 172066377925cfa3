package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/drive"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/live"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/guard"
)

const demoHelp = `Usage: holdfast demo [flags]

Serve a shop on several replicas, with a page that shows what happens in them.
  -replicas N     replicas behind the load balancer (3)
  -listen ADDR    load balancer's address (localhost:8080; -drive: a free port)
  -public         allow an ADDR that other machines can reach
  -redis ADDR     host:port or redis:// URL (default: a Redis inside this
                  process). The demo removes its keys at the end
  -tls            serve HTTPS, with a certificate that browsers warn about
  -unlocked       keep sessions with plain GET and SET, as most libraries do
  -think TIME     work of each add between read and write (100ms; -drive: 0s)

With -drive, simulated users click in many tabs while a replica is stopped and
started again. Then the carts are compared with the acknowledged clicks.
  -tabs N         tabs of each user (8)
  -users N        users, each with one browser (4)
  -actions N      clicks in each tab (400)
  -duration TIME  stop clicking after this time (45s)
  -kill           kill the replica instead, as a crash does
  -seed N         random seed for the clicks (1)

Exit status with -drive: 1 if an update was lost, an ended session came back,
requests failed or the demo could not run; 2 usage error.
`

type demoFlags struct {
	cluster cluster.Config
	load    drive.Load
	drive   bool
	open    bool            // other machines may reach it
	set     map[string]bool // flags that were given
}

// driveOnly are the flags that mean nothing without -drive.
var driveOnly = []string{"tabs", "users", "actions", "duration", "kill", "seed"}

func demo(ctx context.Context, args []string, p process) int {
	f := demoFlags{set: make(map[string]bool)}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.IntVar(&f.cluster.Replicas, "replicas", 3, "")
	flags.StringVar(&f.cluster.Listen, "listen", "localhost:8080", "")
	flags.BoolVar(&f.open, "public", false, "")
	flags.StringVar(&f.cluster.Redis, "redis", "", "")
	flags.BoolVar(&f.cluster.TLS, "tls", false, "")
	flags.BoolVar(&f.cluster.Unlocked, "unlocked", false, "")
	flags.DurationVar(&f.cluster.Think, "think", 0, "")
	flags.BoolVar(&f.drive, "drive", false, "")
	flags.IntVar(&f.load.Tabs, "tabs", 8, "")
	flags.IntVar(&f.load.Users, "users", 4, "")
	flags.IntVar(&f.load.Actions, "actions", 400, "")
	flags.DurationVar(&f.load.Limit, "duration", 45*time.Second, "")
	flags.BoolVar(&f.load.Kill, "kill", false, "")
	flags.Uint64Var(&f.load.Seed, "seed", 1, "")
	rest, status, ok := parse(flags, args, demoHelp, p)
	if !ok {
		return status
	}
	flags.Visit(func(given *flag.Flag) { f.set[given.Name] = true })
	if err := cmp.Or(noArguments(rest), f.validate()); err != nil {
		return misuse(flags, err, p)
	}

	play, level := f.serve, slog.LevelWarn
	if f.drive {
		// What was refused is counted, and stands in the report.
		play, level = f.drives, slog.LevelError
	}
	f.cluster.Log = slog.New(slog.NewTextHandler(p.errs, &slog.HandlerOptions{Level: level}))
	status, err := play(ctx, p.out)
	if err != nil {
		fmt.Fprintf(p.errs, "holdfast demo: %v\n", err)
		return failed
	}
	return status
}

func (f *demoFlags) validate() error {
	for _, n := range []struct {
		name  string
		value int
		most  int
	}{
		{"replicas", f.cluster.Replicas, 100},
		{"tabs", f.load.Tabs, 1000},
		{"users", f.load.Users, 1000},
		{"actions", f.load.Actions, 1_000_000},
	} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("-%s must be between 1 and %d, not %d", n.name, n.most, n.value)
		}
	}
	if err := guard.Listen(f.cluster.Listen, f.open); err != nil {
		return err
	}
	if f.cluster.Think < 0 {
		return fmt.Errorf("-think must not be negative, but is %v", f.cluster.Think)
	}
	if f.load.Limit <= 0 {
		return fmt.Errorf("-duration must be positive, not %v", f.load.Limit)
	}
	if f.drive && f.cluster.TLS {
		return errors.New("-tls cannot be used with -drive")
	}
	if !f.drive {
		for _, name := range driveOnly {
			if f.set[name] {
				return fmt.Errorf("-%s needs -drive", name)
			}
		}
	}
	return nil
}

// visibleThink is how long an add works on the page: long enough for a queue to form at the lock.
const visibleThink = 100 * time.Millisecond

// serve runs the cluster until the context ends.
func (f *demoFlags) serve(ctx context.Context, out io.Writer) (int, error) {
	if !f.set["think"] {
		f.cluster.Think = visibleThink
	}
	f.cluster.Count, f.cluster.Switch = true, true
	f.cluster.Front = func(c *cluster.Cluster, balancer http.Handler) http.Handler {
		return guard.NewHosts(f.cluster.Listen).Handler(live.New(c, balancer, f.cluster.Think))
	}
	s, err := cluster.Start(ctx, f.cluster)
	if err != nil {
		return failed, err
	}
	if guard.Public(f.cluster.Listen) {
		f.cluster.Log.Warn("other machines can reach this page, and their users can press its buttons")
	}
	fmt.Fprintf(out, `The shop is open at %s (Ctrl-C closes it).

  replicas   %d, taking turns
  sessions   kept by %s
  backend    %s, keys %s:*

Open it in several tabs, click in all of them, and break something.
`, s.URL(), f.cluster.Replicas, f.cluster.Variant(), s.Backend(), s.Prefix())
	<-ctx.Done()
	fmt.Fprintln(out, "\nClosing the shop.")
	return succeeded, s.Close()
}

// drives plays the load and prints the report.
func (f *demoFlags) drives(ctx context.Context, out io.Writer) (int, error) {
	if !f.set["listen"] {
		f.cluster.Listen = "127.0.0.1:0"
	}
	f.cluster.Count = true
	report, err := drive.Run(ctx, out, f.cluster, f.load)
	if report != nil {
		report.Print(out)
	}
	if err != nil {
		return failed, err
	}
	if !report.OK() {
		return failed, nil
	}
	return succeeded, nil
}
