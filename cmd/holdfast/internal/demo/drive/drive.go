package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/cookiejar"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
)

// Load says how much is played.
type Load struct {
	Users   int           // browsers, each with a user and a cookie jar of its own
	Tabs    int           // tabs of each browser, all busy at once
	Actions int           // clicks of each tab
	Limit   time.Duration // no click begins later than this; 0 means no limit
	Seed    uint64        // random seed for the clicks
	Kill    bool          // stop the replica as a crash does, without draining it
}

// user names browser i's user.
func (Load) user(i int) string {
	names := []string{"Ada", "Grace", "Edsger", "Barbara", "Leslie", "Radia", "Tony", "Frances"}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s %d", names[i%len(names)], i/len(names)+1)
}

// Run starts a cluster, plays the load against it, stops it and returns what was found. Progress goes to out. When the
// context ends, the tabs stop clicking and the report is of what was done until then. An error means that the cluster
// could not run; a loss is in the report.
func Run(ctx context.Context, out io.Writer, cfg cluster.Config, load Load) (*Report, error) {
	s, err := cluster.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c, err := newClient(s.URL(), load.Users*load.Tabs)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	d := &driver{
		cluster:      s,
		load:         load,
		client:       c,
		acknowledged: newAcknowledged(),
		counters:     newCounters(),
		out:          out,
		meter:        newMeter(load.Users * load.Tabs * load.Actions),
	}
	fmt.Fprintf(out, "%d users with %d tabs each on %d replicas at %s, sessions kept by %s in %s.\n\n",
		load.Users, load.Tabs, cfg.Replicas, s.URL(), cfg.Variant(), s.Backend())
	rolled := d.play(ctx, cfg.Replicas)
	report := d.report(cfg)
	// The audit runs even when the user has canceled.
	d.acknowledged.verify(context.WithoutCancel(ctx), c)
	report.Audit = d.acknowledged.balance()
	report.Stats = s.Stats()
	c.close()
	return report, errors.Join(rolled, s.Close())
}

// driver is one run.
type driver struct {
	cluster      *cluster.Cluster
	load         Load
	client       *client
	acknowledged *acknowledged
	counters     *counters
	out          io.Writer
	meter        *meter
	outMu        sync.Mutex // guards out
	start        time.Time
	took         time.Duration
	trips        int
}

// play returns when all tabs have stopped and the replica that was stopped in between is settled.
func (d *driver) play(ctx context.Context, replicas int) error {
	if d.load.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.load.Limit)
		defer cancel()
	}
	playing, over := context.WithCancel(ctx)
	defer over()
	before, _ := d.cluster.Trips()
	d.start = time.Now()

	var rolled error
	var reports, tabs sync.WaitGroup
	reports.Go(func() { d.progress(playing) })
	reports.Go(func() { rolled = d.roll(playing, replicas) })
	for u := range d.load.Users {
		jar, _ := cookiejar.New(nil) // never fails, says its documentation
		b := &browser{client: d.client, user: d.load.user(u), jar: jar, acknowledged: d.acknowledged}
		for n := range d.load.Tabs {
			t := &tab{
				browser:      b,
				acknowledged: d.acknowledged,
				counters:     d.counters,
				first:        n == 0,
				random:       rand.New(rand.NewPCG(d.load.Seed, uint64(u*d.load.Tabs+n))),
			}
			tabs.Go(func() {
				for i := 0; i < d.load.Actions && ctx.Err() == nil; i++ {
					t.act(ctx, i)
					d.meter.step()
				}
			})
		}
	}
	tabs.Wait()
	d.took = time.Since(d.start)
	after, _ := d.cluster.Trips()
	d.trips = after - before
	over()
	reports.Wait()
	return rolled
}

// roll stops a replica after a third of the work and starts it again after two thirds.
func (d *driver) roll(ctx context.Context, replicas int) error {
	if replicas < 2 {
		d.say("With a single replica, none is stopped.")
		return nil
	}
	const which = 1
	select {
	case <-d.meter.third:
	case <-ctx.Done():
		return nil
	}
	// What was begun is ended, whether or not the tabs have stopped by then.
	bare := context.WithoutCancel(ctx)
	how := "stopped, as a deployment does"
	if d.load.Kill {
		how = "killed"
	}
	d.say("replica %d is being %s", which+1, how)
	if err := d.cluster.StopReplica(bare, which, d.load.Kill); err != nil {
		return err
	}
	d.say("replica %d is gone", which+1)
	select {
	case <-d.meter.twoThirds:
	case <-ctx.Done():
		return nil
	}
	if err := d.cluster.StartReplica(bare, which); err != nil {
		return err
	}
	d.say("replica %d is back", which+1)
	return nil
}

// progress says once a second how far the run is.
func (d *driver) progress(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n := d.counters.soFar()
			d.say("%s requests, %s in the last second, %s updates lost so far",
				thousands(n), thousands(n-last), thousands(d.acknowledged.lostSoFar()))
			last = n
		}
	}
}

func (d *driver) say(format string, args ...any) {
	d.outMu.Lock()
	defer d.outMu.Unlock()
	fmt.Fprintf(d.out, "%4.0f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}
