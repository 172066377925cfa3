package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/holdfast-go/holdfast/bench/backend"
	"github.com/holdfast-go/holdfast/bench/delay"
	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
	"github.com/holdfast-go/holdfast/bench/trial"
)

const (
	waitBudget = 10 * time.Second // how long a request may wait for a lock
	warmUp     = 2 * time.Second  // at most, for workers to go through their sessions
)

// bench runs the plan and returns what it gave. An interrupt is no error.
func bench(ctx context.Context, opts options) (_ *report.Run, err error) {
	plan, err := scenario.Plan(opts.choice, subject.All())
	if err != nil {
		return nil, err
	}
	if len(plan) == 0 {
		return nil, errors.New("no subject takes part in the scenarios chosen")
	}
	redis, err := backend.Start(ctx, backend.Config{Addr: opts.redis, Embedded: opts.own, Plain: opts.plain, AOF: opts.aof})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	link := subject.Link{
		Addr:     redis.Addr,
		Prefix:   "bench-" + rand.Text() + ":",
		PoolSize: opts.pool,
		Tracking: redis.Real,
	}
	if opts.rtt > 0 {
		proxy, err := delay.Start(ctx, redis.Addr, opts.rtt/2)
		if err != nil {
			return nil, fmt.Errorf("start delaying proxy: %w", err)
		}
		defer func() { _ = proxy.Close() }() // cuts connections that are no longer used
		link.Addr = proxy.Addr()
	}
	stop, err := profile(opts.profile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	results := describe(opts, redis, plan)
	fmt.Fprintln(os.Stderr, "Redis:", redis.Label)
	progress := newProgress(os.Stderr)
	warn := func(text string) {
		progress.print(text)
		results.Warnings = append(results.Warnings, text)
	}
	defer progress.clear()
	runner := &trial.Runner{
		Redis: redis, Link: link, Rounds: opts.rounds, WaitBudget: waitBudget, WarmUp: warmUp,
		Progress: progress.show, Warn: warn,
	}
	begun := time.Now()
	err = runPlan(ctx, runner, plan, newPace(runner, plan, opts.choice.Quick, opts.time), results)
	results.Took, results.Cut = time.Since(begun), ctx.Err() != nil
	if runner.Cut > 0 {
		warn(fmt.Sprintf("%d of %d configurations had fewer than %d rounds, to end in time", runner.Cut, len(plan), opts.rounds))
	}
	return results, err
}

// runPlan runs every configuration, in slices as long as the time left allows.
func runPlan(ctx context.Context, runner *trial.Runner, plan []scenario.Config, pace *pace, results *report.Run) error {
	for _, cfg := range plan {
		select {
		case <-ctx.Done():
			return nil // what there is, is reported
		default:
		}
		weight, fixed := runner.Weight(cfg), runner.Fixed(cfg)
		var slice time.Duration
		slice, runner.Until = pace.next(weight, fixed)
		rows, err := runner.Run(ctx, cfg, slice)
		results.Rows = append(results.Rows, rows...)
		if err != nil {
			return fmt.Errorf("run %s: %w", cfg.Title(), err)
		}
		pace.done(weight, fixed)
	}
	return nil
}

// describe fills in what is known before anything runs.
func describe(opts options, redis *backend.Backend, plan []scenario.Config) *report.Run {
	results := &report.Run{
		Backend:  redis.Label,
		Real:     redis.Real,
		Rounds:   opts.rounds,
		RTTMicro: report.Micro(opts.rtt),
		Pool:     opts.pool,
		CPUs:     runtime.GOMAXPROCS(0),
		Go:       runtime.Version(),
		System:   runtime.GOOS + "/" + runtime.GOARCH,
	}
	if results.Pool == 0 {
		results.Pool = 10 * results.CPUs // go-redis' default
	}
	named := make(map[string]bool)
	for _, cfg := range plan {
		for _, c := range cfg.Contenders {
			if !named[c.Subject.Name] {
				named[c.Subject.Name] = true
				results.Settings = append(results.Settings, report.Setting{Subject: c.Subject.Name, Text: c.Subject.Settings})
			}
		}
	}
	return results
}

// profile starts a CPU profile if a file is named, and returns what ends it.
func profile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(name) //nolint:gosec // named on the command line
	if err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("start profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
