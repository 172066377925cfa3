package main

import (
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// A failover is over when all Sentinels that answer know of it: a client asks any of them for the primary.
func TestSentinelsMoved(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
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
		moved, answered := tgt.SentinelsMoved(t.Context(), primary.Addr())
		if moved != wantMoved || answered != wantAnswered {
			t.Errorf("%d of %d Sentinels name another primary, want %d of %d", moved, answered, wantMoved, wantAnswered)
		}
	}
	check(0, 3)
	mislead(t, set, 0, other)
	check(1, 3)
	set.Sentinels[2].Kill()
	check(1, 2)
}

// Nothing fails yet when a Sentinel or a replica has died, and it goes unnoticed until another server dies.
func TestDoctorMissesSentinelsAndReplicas(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	examine := func(wantStatus int, want ...string) {
		t.Helper()
		status, out, errs := holdfast(t.Context(), "doctor", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name())
		if status != wantStatus || errs != "" {
			t.Errorf("status %d, want %d\n%s%s", status, wantStatus, out, errs)
		}
		for _, line := range want {
			if strings.Count(out, line) != 1 {
				t.Errorf("not once: %q in\n%s", line, out)
			}
		}
	}
	examine(succeeded, "ok    sentinels    3 of 3 answer\n")
	set.Sentinels[0].Kill()
	examine(succeeded, "warn  sentinels    2 of 3 answer; "+set.Sentinels[0].Addr()+" does not", "-> start it: a failover needs 2 of 3\n")
	primary := set.Primary(t)
	replica := set.Servers[slices.IndexFunc(set.Servers, func(s *redistest.Server) bool { return s != primary })]
	replica.Kill()
	examine(succeeded, "2 of 3 answer", "warn  replica      replica "+replica.Addr()+" does not answer\n")
	set.Sentinels[1].Kill()
	examine(failed, "fail  sentinels    1 of 3 answer", "a failover needs 2 of 3, so no replica would take over\n")
}

// Sentinels that name different primaries send clients to different servers.
func TestDoctorOfDividedSentinels(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	other := redistest.Start(t)
	mislead(t, set, 2, other)
	status, out, _ := holdfast(t.Context(), "doctor", "-redis", strings.Join(set.Addrs(), ","), "-sentinel", set.Name())
	if status != failed || strings.Count(out, "3 of 3 answer; they name 2 primaries") != 1 {
		t.Errorf("status %d\n%s", status, out)
	}
}

// mislead makes a Sentinel of a set name another server as the primary.
func mislead(t *testing.T, set *redistest.Sentinel, sentinel int, primary *redistest.Server) {
	t.Helper()
	odd := set.Sentinels[sentinel].Client(t)
	if err := odd.Do(t.Context(), "SENTINEL", "REMOVE", set.Name()).Err(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(primary.Addr())
	if err := odd.Do(t.Context(), "SENTINEL", "MONITOR", set.Name(), host, port, "2").Err(); err != nil {
		t.Fatal(err)
	}
}
