package main

import (
	"io"
	"net"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// A failover is over when all Sentinels that answer know of it: a client asks any of them for the primary.
func TestSentinelsMoved(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinel(t)
	primary, other := set.Primary(t), redistest.Start(t)
	o := newOperator("failover", failoverHelp)
	if _, _, ok := o.parse([]string{"-redis", set.Sentinels[1].Addr(), "-sentinel", set.Name()}, process{out: io.Discard, errs: io.Discard, env: func(string) string { return "" }}); !ok {
		t.Fatal("the flags were refused")
	}
	tgt, err := target.Open(t.Context(), o.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer tgt.Close()
	check := func(wantMoved, wantAnswered int) {
		t.Helper()
		if moved, answered := tgt.SentinelsMoved(t.Context(), primary.Addr()); moved != wantMoved || answered != wantAnswered {
			t.Errorf("%d of %d Sentinels name another primary, want %d of %d", moved, answered, wantMoved, wantAnswered)
		}
	}
	check(0, 3)
	odd := set.Sentinels[0].Client(t)
	if err := odd.Do(t.Context(), "SENTINEL", "REMOVE", set.Name()).Err(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(other.Addr())
	if err := odd.Do(t.Context(), "SENTINEL", "MONITOR", set.Name(), host, port, "2").Err(); err != nil {
		t.Fatal(err)
	}
	check(1, 3)
	set.Sentinels[2].Kill()
	check(1, 2)
}
