package failover

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// replica is one that may be promoted.
type replica struct {
	addr     string
	priority int64 // Sentinel takes the lowest one first, and never 0
}

// state is what INFO replication tells.
type state admin.Info

func (s state) number(name string) int64 {
	n, _ := strconv.ParseInt(s[name], 10, 64)
	return n
}

func replication(ctx context.Context, c *redis.Client) (state, error) {
	text, err := c.Info(ctx, "replication").Result()
	return state(admin.ReadInfo(text)), err
}

// survey finds the replicas that are fit: connected, in step, and allowed to be promoted.
func (r *run) survey(ctx context.Context) error {
	s, err := replication(ctx, r.primary)
	switch {
	case err != nil && r.cfg.Master != "":
		return fmt.Errorf("cannot examine the server that -master names: %w", r.t.ExplainAt(r.addr, err))
	case err != nil:
		return fmt.Errorf("cannot examine the primary: %w", r.t.ExplainAt(r.addr, err))
	case s["role"] != "master":
		return fmt.Errorf("%s is a replica of %s: give the master", r.addr, net.JoinHostPort(s["master_host"], s["master_port"]))
	}
	r.say("primary %s has %s", r.addr, report.Count(int(s.number("connected_slaves")), "replica"))
	best := int64(0)
	for i := range s.number("connected_slaves") {
		line := s["slave"+strconv.FormatInt(i, 10)] // ip=…,port=…,state=online,offset=…,lag=…
		field := make(map[string]string)
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(part, "=")
			field[name] = value
		}
		c := replica{addr: net.JoinHostPort(field["ip"], field["port"])}
		if why := r.unfit(ctx, &c, field); why != "" {
			r.say("replica %s is not fit: %s", c.addr, why)
			continue
		}
		r.say("replica %s is fit, and %d bytes behind", c.addr, max(0, s.number("master_repl_offset")-s.behind(field)))
		r.replicas = append(r.replicas, c)
		if best == 0 || c.priority < best {
			best = c.priority
		}
	}
	// Of those with the best priority Sentinel takes the one that has the most: it is one of these that must catch up.
	fit := r.replicas[:0]
	for _, c := range r.replicas {
		if c.priority == best {
			fit = append(fit, c)
		}
	}
	if r.replicas = fit; len(fit) == 0 {
		return fmt.Errorf("no replica of %s is fit to be promoted, so nothing was changed", r.addr)
	}
	return nil
}

func (s state) behind(field map[string]string) int64 {
	n, _ := strconv.ParseInt(field["offset"], 10, 64)
	return n
}

// unfit says why a replica cannot be promoted; empty if it can.
func (r *run) unfit(ctx context.Context, c *replica, field map[string]string) string {
	if field["state"] != "online" {
		return "it is still loading (" + report.Text(field["state"]) + ")"
	}
	n := r.t.Node(c.addr)
	defer n.Close()
	s, err := replication(ctx, n)
	switch {
	case err != nil:
		return r.t.ExplainAt(c.addr, err).Error()
	case s["role"] != "slave":
		return "it is not a replica"
	case s["master_link_status"] != "up":
		return "its link to the primary is down"
	case s["slave_priority"] == "0":
		return "replica-priority 0 forbids it"
	}
	c.priority = s.number("slave_priority")
	return ""
}

// offset is how much a replica has.
func (r *run) offset(ctx context.Context, c replica) (int64, error) {
	n := r.t.Node(c.addr)
	defer n.Close()
	s, err := replication(ctx, n)
	return s.number("slave_repl_offset"), err
}
