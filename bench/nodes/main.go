// Command nodes counts what a request of Holdfast costs Redis, and what idle
// nodes cost, with 1 to 1,024 nodes in one process.
//
//	go -C bench run ./nodes
//	go -C bench run ./nodes -mode "by method" -nodes 1,16,256
//
// Commands, messages and bytes are read on the wire. Redis' CPU is what the server
// says it used. Only the last column is computed, from those before it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/backend"
	"github.com/holdfast-go/holdfast/bench/subject"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "nodes:", err)
		stop()
		os.Exit(1)
	}
}

// plan is what is counted.
type plan struct {
	mode  subject.Mode
	nodes []int
	idle  time.Duration // in which heartbeats are counted
	warm  int           // pages of each session before anything is counted
	pages int           // that are
}

// result is what was counted with one number of nodes.
type result struct {
	nodes   int
	idle    sample   // without requests
	loads   []sample // by balancer
	measure bool     // Redis' CPU is known
}

// sample is the traffic of some time.
type sample struct {
	requests, heartbeats Traffic
	took, cpu            time.Duration
	count                int // requests made
}

func run(ctx context.Context, args []string, w io.Writer) (err error) {
	flags := flag.NewFlagSet("nodes", flag.ContinueOnError)
	var p plan
	addr := flags.String("redis", "", "use the Redis at this `address` instead of starting one")
	own := flags.Bool("embedded", false, "use the Redis inside this process, whose CPU is not known")
	list := flags.String("nodes", "1,4,16,64,256,1024", "how many nodes, separated by commas")
	mode := flags.String("mode", string(subject.Exclusive), `how requests that read open their session, "exclusive" or "by method"`)
	flags.IntVar(&p.pages, "pages", 30, "how many pages of each session to count, after a third as many that are not")
	flags.DurationVar(&p.idle, "idle", 20*time.Second, "how long to count heartbeats")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.pages < 1 {
		return errors.New("-pages must be at least 1")
	}
	p.warm = (p.pages + 2) / 3
	p.mode = subject.Mode(*mode)
	if p.mode != subject.Exclusive && p.mode != subject.ByMethod {
		return fmt.Errorf(`-mode is %q; give "exclusive" or "by method"`, *mode)
	}
	for text := range strings.SplitSeq(*list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return fmt.Errorf("-nodes has %q; give numbers from 1, separated by commas", text)
		}
		p.nodes = append(p.nodes, n)
	}
	redis, err := backend.Start(ctx, backend.Config{Addr: *addr, Embedded: *own})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	results, err := p.run(ctx, redis)
	if err != nil {
		return err
	}
	return report(w, redis.Label, p.mode, results)
}

func (p *plan) run(ctx context.Context, redis *backend.Backend) (all []result, err error) {
	for _, n := range p.nodes {
		fmt.Fprintf(os.Stderr, "%d nodes\n", n)
		r, err := p.count(ctx, redis, n)
		if err != nil {
			return nil, fmt.Errorf("count with %d nodes: %w", n, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// count opens that many nodes and counts, first while they are idle, then under each load.
func (p *plan) count(ctx context.Context, redis *backend.Backend, nodes int) (r result, err error) {
	meter, s := new(Meter), new(deployment)
	link := subject.Link{Addr: redis.Addr, Prefix: "nodes-" + rand.Text() + ":", PoolSize: 2, Dial: meter.Dial}
	defer func() { err = errors.Join(err, s.close(), redis.Clean(context.WithoutCancel(ctx), link.Prefix)) }()
	if err := s.open(ctx, link, p.mode, nodes); err != nil {
		return r, err
	}
	for meter.Proven() < nodes {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return r, err
		}
	}
	r.nodes, r.measure = nodes, redis.Real
	if r.idle, err = take(ctx, redis, meter, 0, func() error { return sleep(ctx, p.idle) }); err != nil {
		return r, err
	}
	for b := range balancers {
		if err := s.create(ctx); err != nil {
			return r, err
		}
		if err := s.load(ctx, b, p.warm); err != nil {
			return r, err
		}
		got, err := take(ctx, redis, meter, sessions*p.pages*perPage, func() error { return s.load(ctx, b, p.pages) })
		if err := errors.Join(err, s.checkFailed(sessions*(p.warm+p.pages)*perPage)); err != nil {
			return r, err
		}
		r.loads = append(r.loads, got)
	}
	return r, nil
}

// take counts the traffic while do runs, which makes that many requests.
func take(ctx context.Context, redis *backend.Backend, meter *Meter, requests int, do func() error) (sample, error) {
	cpu, _, err := redis.CPU(ctx)
	if err != nil {
		return sample{}, err
	}
	begun := time.Now()
	asked, beat := meter.Read()
	if err := do(); err != nil {
		return sample{}, err
	}
	got := sample{took: time.Since(begun), count: requests}
	askedNow, beatNow := meter.Read()
	got.requests, got.heartbeats = askedNow.Since(asked), beatNow.Since(beat)
	cpuNow, _, err := redis.CPU(ctx)
	got.cpu = cpuNow - cpu
	return got, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
