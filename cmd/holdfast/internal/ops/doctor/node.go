package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
)

// node is a master: all of them must be fit.
type node struct {
	addr    string
	client  redis.UniversalClient
	info    admin.Info
	buffers string // client-output-buffer-limit; empty if it may not be asked for
	save    *string
	others  bool // there are masters that do not answer
}

// number is a number of INFO, or 0.
func (n *node) number(name string) int64 {
	v, _ := strconv.ParseInt(n.info[name], 10, 64)
	return v
}

func gather(ctx context.Context, t *target.Target) ([]node, error) {
	masters, err := t.DB.Masters(ctx)
	if err != nil {
		return nil, err
	}
	var nodes []node
	var firstErr error
	for _, c := range masters {
		n := node{addr: t.Name, client: c}
		if single, ok := c.(*redis.Client); ok && t.Kind != target.Sentinel {
			n.addr = single.Options().Addr
		}
		text, err := c.Info(ctx).Result()
		if err != nil && !redis.IsPermissionError(err) {
			firstErr = cmp.Or(firstErr, err)
			continue // a check of its own names it
		}
		n.info = admin.ReadInfo(text)
		if t.Kind == target.Cluster {
			text, _ := c.ClusterInfo(ctx).Result() // absent values fail the check
			maps.Copy(n.info, admin.ReadInfo(text))
		}
		n.buffers = c.ConfigGet(ctx, "client-output-buffer-limit").Val()["client-output-buffer-limit"]
		if save, ok := c.ConfigGet(ctx, "save").Val()["save"]; ok {
			n.save = &save
		}
		nodes = append(nodes, n)
	}
	if len(nodes) == 0 {
		return nil, firstErr
	}
	return nodes, nil
}

// worst examines each node and returns what is worst, with the node's address if there are several.
func worst(name string, nodes []node, examine func(n *node) Check) Check {
	var out Check
	rank := map[Status]int{"": 0, OK: 1, Warn: 2, Fail: 3}
	for i := range nodes {
		c := examine(&nodes[i])
		if rank[c.Status] > rank[out.Status] {
			out = c
			if len(nodes) > 1 && c.Status != OK {
				out.Found = fmt.Sprintf("on %s: %s", nodes[i].addr, c.Found)
			}
		}
	}
	if len(nodes) > 1 && out.Status == OK {
		all := "all %d masters"
		if nodes[0].others {
			all = "%d masters that answer"
		}
		out.Found += fmt.Sprintf(" ("+all+")", len(nodes))
	}
	out.Name = name
	return out
}
