package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
	"github.com/holdfast-go/holdfast/internal/report"
)

// Wound is a master that does not answer.
type Wound struct {
	Addr  string
	Slots string        // that it serves in a cluster; empty elsewhere
	For   time.Duration // since others heard of it last; 0 if unknown
	Set   string        // that Sentinels watch; empty elsewhere
	Heir  string        // a replica that may be promoted, or behind Sentinel a Sentinel that answers; empty for none

	replicas []string
}

func (w Wound) String() string {
	text := "master " + w.Addr
	if w.Slots != "" {
		text += " of slots " + w.Slots
	}
	text += " does not answer"
	if w.For > 0 {
		text += ", last heard " + report.Age(w.For) + " ago"
	}
	return text
}

// lost is what a cluster does without one of its masters.
const lost = "until then the sessions in its slots cannot be opened, and no others if cluster-require-full-coverage is yes"

// Advice says what to do about it.
func (w Wound) Advice() string {
	command := "redis-cli"
	if host, port, err := net.SplitHostPort(w.Heir); err == nil {
		command += " -h " + host + " -p " + port
	}
	switch {
	case w.Slots == "":
		return "see the server's log, and " + command + " SENTINEL MASTER " + w.Set + ": until a replica is promoted, no session can be opened"
	case w.Heir == "":
		return "start it, since it has no replica that answers: " + lost
	}
	return "start it, or promote its replica (" + command + " CLUSTER FAILOVER FORCE): " + lost
}

// findWounds returns the masters that do not answer, and the replicas of other masters that do not. It asks all servers at
// once, and takes little more than a second.
func (t *Target) findWounds(ctx context.Context) (wounds []Wound, replicas []string) {
	var known []Wound
	switch t.Kind {
	case Cluster:
		known = t.clusterMasters(ctx)
	case Sentinel:
		known = t.sentinelMaster(ctx)
	default: // there is no other server to hear of it from
	}
	var ask []string
	for _, m := range known {
		ask = append(append(ask, m.Addr), m.replicas...)
	}
	heard := t.answering(ctx, ask)
	for _, m := range known {
		if slices.Contains(heard, m.Addr) {
			replicas = append(replicas, slices.DeleteFunc(m.replicas, func(r string) bool { return slices.Contains(heard, r) })...)
			continue
		}
		for _, r := range m.replicas {
			if m.Set == "" && slices.Contains(heard, r) { // behind Sentinel an operator promotes none
				m.Heir = r
			}
		}
		wounds = append(wounds, m)
	}
	return wounds, replicas
}

// clusterMasters reads the masters with slots, as the first node that answers sees them.
func (t *Target) clusterMasters(ctx context.Context) (masters []Wound) {
	for _, addr := range t.cfg.seeds {
		c := redis.NewClient(t.brief(addr))
		list, err := c.ClusterNodes(ctx).Result()
		_ = c.Close()
		if err != nil {
			continue
		}
		replicas := make(map[string][]string) // of a master's ID
		for line := range strings.Lines(list) {
			f := strings.Fields(line) // ID ADDR FLAGS MASTER PING-SENT PONG-RECEIVED EPOCH LINK SLOTS…
			if len(f) >= 8 && strings.Contains(f[2], "slave") {
				at, _, _ := strings.Cut(f[1], "@")
				replicas[f[3]] = append(replicas[f[3]], at)
			}
		}
		for line := range strings.Lines(list) {
			f := strings.Fields(line)
			if len(f) < 9 || !strings.Contains(f[2], "master") {
				continue
			}
			at, _, _ := strings.Cut(f[1], "@")
			m := Wound{Addr: at, Slots: strings.Join(f[8:], " "), replicas: replicas[f[0]]}
			if ms, err := strconv.ParseInt(f[5], 10, 64); err == nil && ms > 0 {
				m.For = max(0, time.Since(time.UnixMilli(ms)))
			}
			masters = append(masters, m)
		}
		return masters
	}
	return nil
}

// sentinelMaster reads the primary as the first Sentinel that answers sees it.
func (t *Target) sentinelMaster(ctx context.Context) []Wound {
	for _, addr := range t.cfg.seeds {
		o := t.cfg.sentinelOptions(addr)
		o.DialTimeout, o.ReadTimeout = ProbeTime, ProbeTime
		c := redis.NewSentinelClient(o)
		m, err := c.Master(ctx, t.cfg.Sentinel).Result()
		replicas, _ := c.Replicas(ctx, t.cfg.Sentinel).Result() // without them none is missed
		_ = c.Close()
		if err != nil {
			continue
		}
		w := Wound{Addr: net.JoinHostPort(m["ip"], m["port"]), Set: t.cfg.Sentinel, Heir: addr, For: milliseconds(m["last-ok-ping-reply"])}
		for _, r := range replicas {
			w.replicas = append(w.replicas, net.JoinHostPort(r["ip"], r["port"]))
		}
		return []Wound{w}
	}
	return nil
}

// Diagnose explains an error: for an outage it names the masters that do not answer, one to a line, if there are any.
func (t *Target) Diagnose(ctx context.Context, err error) []string {
	e, ok := errors.AsType[*explained](err)
	if t.Kind == Standalone || !(ok && e.outage || rdb.IsOutage(err)) {
		return []string{err.Error()}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*ProbeTime)
	defer cancel()
	var lines []string
	wounds := t.Wounds
	if len(wounds) == 0 { // it may have died since
		wounds, _ = t.findWounds(ctx)
	}
	for _, w := range wounds {
		lines = append(lines, fmt.Sprintf("%s: %s", w, w.Advice()))
	}
	if len(lines) == 0 {
		return []string{err.Error()}
	}
	return lines
}
