package redistest

import (
	"context"
	"os/exec"
	"strconv"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

const cli = "redis-cli"

// Reshard moves slots with their keys from one master to another, as an operator does, while the cluster is in use.
func (c *Cluster) Reshard(tb testing.TB, from, to *Server, slots int) {
	tb.Helper()
	need.Program(tb, cli)
	ctx, cancel := context.WithTimeout(context.Background(), healthyTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, cli, "--cluster", "reshard", from.Addr(),
		"--cluster-from", clusterID(tb, from), "--cluster-to", clusterID(tb, to),
		"--cluster-slots", strconv.Itoa(slots), "--cluster-yes").CombinedOutput()
	if err != nil {
		const enough = 2000
		tb.Fatalf("reshard: %v\n%s", err, out[max(0, len(out)-enough):])
	}
}

func clusterID(tb testing.TB, node *Server) string {
	tb.Helper()
	id, err := node.Client(tb).ClusterMyID(tb.Context()).Result()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}
