package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

// Config says what to fail over, and how long writes may pause.
type Config struct {
	Master string        // of a cluster: the one to replace
	Pause  time.Duration // after which writes resume automatically, whatever has happened
}

// ErrInterrupted means that the operator ended it early.
var ErrInterrupted = errors.New("interrupted")

// poll is how often a state is read that is waited for.
const poll = 20 * time.Millisecond

// run is one failover.
type run struct {
	cfg   Config
	t     *target.Target
	w     *report.Writer
	begun time.Time

	primary  *redis.Client
	addr     string // of primary
	replicas []replica

	pausedAt time.Time // zero while writes go on
	handed   bool      // the promotion was asked for: writes at the old primary must not resume early

	interrupted bool // by the operator, after that
}

// step is what was done, in JSON.
type step struct {
	Seconds float64 `json:"seconds"`
	Text    string  `json:"step"`
}

func (r *run) say(format string, a ...any) {
	after := time.Since(r.begun)
	text := fmt.Sprintf(format, a...)
	r.w.Item(step{after.Truncate(time.Millisecond).Seconds(), text}, "%7.3fs  %s", after.Seconds(), text)
}

// Plan finds the primary and its replicas, and refuses unless one of them is fit to take its place. The caller closes the
// plan.
func Plan(ctx context.Context, t *target.Target, cfg Config, w *report.Writer) (*Planned, error) {
	r := &run{cfg: cfg, t: t, w: w, begun: time.Now()}
	var err error
	switch t.Kind {
	case target.Sentinel:
		r.addr, err = t.SentinelPrimary(ctx)
	case target.Cluster:
		if cfg.Master == "" {
			return nil, errors.New("a cluster has several masters: name the one to replace with -master HOST:PORT")
		}
		r.addr = cfg.Master
	default:
		return nil, errors.New("this is a standalone Redis, which has no Sentinels that could promote a replica: see -sentinel and -cluster")
	}
	if err != nil {
		return nil, t.Explain(err)
	}
	r.primary = t.Node(r.addr)
	if err := r.check(ctx); err != nil {
		return nil, errors.Join(err, r.primary.Close())
	}
	return &Planned{r}, nil
}

// check finds the replicas that are fit, and makes sure that the user may do all that follows.
func (r *run) check(ctx context.Context) error {
	if err := r.survey(ctx); err != nil {
		return err
	}
	return r.permitted(ctx)
}

// Planned is a failover that can be made.
type Planned struct{ r *run }

// Question is what to ask the operator.
func (p *Planned) Question() string {
	return fmt.Sprintf("Pause writes for at most %v and replace the primary %s", p.r.cfg.Pause, p.r.addr)
}

// Primary is the address of the server to replace.
func (p *Planned) Primary() string { return p.r.addr }

// Close ends the connection.
func (p *Planned) Close() error { return p.r.primary.Close() }

// Run makes the failover and writes each step as it is done. If it ends early, by an error or with ctx, writes resume: at
// once if nothing was promoted yet, and at the end of the pause at the latest. Once the promotion has begun, Run completes it
// although ctx ends: it cannot be undone, and the old primary must not take writes again before it follows the new one.
func (p *Planned) Run(ctx context.Context) (err error) {
	r := p.r
	r.begun = time.Now()
	defer func() {
		if err != nil {
			err = r.undo(ctx, err)
		}
	}()
	if err := r.current(ctx); err != nil {
		return err
	}
	if err := r.pause(ctx); err != nil {
		return err
	}
	heir, err := r.await(ctx)
	if err != nil {
		return err
	}
	interrupt := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	if err := r.handOver(ctx, heir); err != nil {
		return err
	}
	addr, err := r.watch(ctx, interrupt)
	if err != nil {
		return err
	}
	r.say("%s is the primary; writes were paused for %v", addr, time.Since(r.pausedAt).Round(time.Millisecond))
	return r.resume(ctx)
}

// pause stops writes at the primary. Scripts and PUBLISH are writes, too; reads go on.
func (r *run) pause(ctx context.Context) error {
	err := r.primary.Do(ctx, "CLIENT", "PAUSE", r.cfg.Pause.Milliseconds(), "WRITE").Err()
	switch {
	case redis.IsPermissionError(err):
		return lacks("pause writes", "+client|pause +client|unpause")
	case err != nil:
		return r.t.ExplainAt(r.addr, err)
	}
	r.pausedAt = time.Now()
	r.say("writes are paused at %s, for at most %v", r.addr, r.cfg.Pause)
	return nil
}

// await waits until every replica that may be promoted has everything. One is not enough: a Sentinel chooses by what it
// heard seconds ago.
func (r *run) await(ctx context.Context) (replica, error) {
	for {
		state, err := replication(ctx, r.primary)
		if err != nil {
			return replica{}, r.t.ExplainAt(r.addr, err)
		}
		want, behind := state.number("master_repl_offset"), 0
		for _, c := range r.replicas {
			if offset, err := r.offset(ctx, c); err != nil || offset < want {
				behind++
			}
		}
		if behind == 0 {
			r.say("%s everything (offset %d)", has(len(r.replicas)), want)
			return r.replicas[0], nil
		}
		// Half of the pause is left for the promotion.
		if time.Since(r.pausedAt) > r.cfg.Pause/2 {
			return replica{}, fmt.Errorf("%s did not catch up within %v, so nothing was promoted: see the replication lag", report.Count(behind, "replica"), r.cfg.Pause/2)
		}
		if err := wait(ctx); err != nil {
			return replica{}, err
		}
	}
}

func has(replicas int) string {
	if replicas == 1 {
		return "the replica has"
	}
	return fmt.Sprintf("%d replicas have", replicas)
}

// handOver has the replica promoted.
func (r *run) handOver(ctx context.Context, heir replica) error {
	r.handed = true
	var err error
	if r.t.Kind == target.Sentinel {
		err = r.t.SentinelFailover(ctx)
	} else {
		c := r.t.Node(heir.addr)
		defer c.Close()
		err = c.ClusterFailover(ctx).Err()
	}
	if err != nil {
		if _, refused := err.(redis.Error); refused { //nolint:errorlint // an answer is never wrapped
			r.handed = false // nothing was begun
		}
		return r.t.Explain(err)
	}
	if r.t.Kind == target.Sentinel {
		r.say("Sentinel promotes a replica")
	} else {
		r.say("the cluster promotes %s", heir.addr)
	}
	return nil
}

// watch waits until one of the replicas is the primary and the old one follows it.
func (r *run) watch(ctx context.Context, interrupt <-chan struct{}) (addr string, err error) {
	promoted := ""
	for {
		select {
		case <-interrupt:
			interrupt, r.interrupted = nil, true
			r.say("interrupted: the promotion has begun, and is completed first")
		default:
		}
		if promoted == "" {
			if promoted = r.promoted(ctx); promoted != "" {
				r.say("%s was promoted", promoted)
				if err := r.demote(ctx, promoted); err != nil {
					return "", err
				}
			}
		}
		if promoted != "" {
			if state, err := replication(ctx, r.primary); err == nil && state["role"] == "slave" {
				r.say("%s follows it", r.addr)
				return promoted, nil
			}
		}
		if time.Since(r.pausedAt) > r.cfg.Pause {
			if promoted != "" {
				return "", fmt.Errorf("%s was promoted, but %s does not follow it yet: see its log, and do not let clients write to it", promoted, r.addr)
			}
			return "", fmt.Errorf("no replica was promoted within %v, and writes resume at %s: see the log of the Sentinels or of the cluster's nodes", r.cfg.Pause, r.addr)
		}
		if err := wait(ctx); err != nil {
			return "", err
		}
	}
}

// demote makes the old primary of a Sentinel set a replica. The Sentinels would, but their commands wait behind the
// pause, and writes must not resume at it before.
func (r *run) demote(ctx context.Context, promoted string) error {
	if r.t.Kind != target.Sentinel {
		return nil
	}
	host, port, _ := net.SplitHostPort(promoted)
	return r.t.ExplainAt(r.addr, r.primary.Do(ctx, "REPLICAOF", host, port).Err())
}

// promoted is the replica that says it is the primary, and that the Sentinels send clients to; empty if there is none.
func (r *run) promoted(ctx context.Context) string {
	for _, c := range r.replicas {
		n := r.t.Node(c.addr)
		state, err := replication(ctx, n)
		_ = n.Close()
		if err != nil || state["role"] != "master" {
			continue
		}
		if r.t.Kind == target.Sentinel && !r.redirected(ctx) {
			continue
		}
		return c.addr
	}
	return ""
}

// redirected reports whether the Sentinels send clients to another primary: all that answer, since a client that asks a
// late one goes back to the old primary and is refused there; or most of them once half of the pause is over.
func (r *run) redirected(ctx context.Context) bool {
	moved, answered := r.t.SentinelsMoved(ctx, r.addr)
	late := time.Since(r.pausedAt) > r.cfg.Pause/2
	return moved > 0 && (moved == answered || late && moved > answered/2)
}

// resume lets writes go on at the old primary, which refuses or redirects them now.
func (r *run) resume(ctx context.Context) error {
	if err := r.primary.Do(ctx, "CLIENT", "UNPAUSE").Err(); err != nil {
		r.say("clients of %s wait until the pause ends, in %v: %v", r.addr, time.Until(r.pausedAt.Add(r.cfg.Pause)).Round(time.Second), r.t.Explain(err))
		return nil
	}
	r.say("clients of %s continue with the new primary", r.addr)
	return r.w.Err()
}

// undo says what an early end leaves behind, and resumes writes unless a promotion may be under way.
func (r *run) undo(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		cause = ErrInterrupted
	}
	switch {
	case r.pausedAt.IsZero():
		return cause
	case r.handed:
		if r.interrupted {
			cause = fmt.Errorf("%w, and %w", ErrInterrupted, cause)
		}
		return fmt.Errorf("%w; the promotion may continue, and writes resume in %v at the latest", cause,
			max(0, time.Until(r.pausedAt.Add(r.cfg.Pause))).Round(time.Second))
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.t.Timeout())
	defer cancel()
	if err := r.primary.Do(clean, "CLIENT", "UNPAUSE").Err(); err != nil {
		return fmt.Errorf("%w; writes resume in %v at the latest", cause, max(0, time.Until(r.pausedAt.Add(r.cfg.Pause))).Round(time.Second))
	}
	return fmt.Errorf("%w; writes have resumed at %s", cause, r.addr)
}

func wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(poll):
		return nil
	}
}
