package main

import (
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// tarpit takes connections at the address of a server that is gone, and never answers: the worst of dead servers, since each
// call would wait for its whole timeout.
type tarpit struct{ dialed atomic.Int64 }

func startTarpit(t *testing.T, addr string) *tarpit {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &tarpit{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.dialed.Add(1)
			defer conn.Close() // all at the end
		}
	}()
	return p
}

// waits is how many times a command may meet a server that does not answer. It waits for ProbeTime at most, by default a
// second, and so for no more than the three seconds that an operator is promised.
const waits = 3

// A master and its replica take connections and answer nothing. Whatever the timeout of a call, the commands meet each of
// them once, name the master in one line, and answer for the others.
func TestSilentMasterIsMetOnce(t *testing.T) {
	t.Parallel()
	c := redistest.StartPatientCluster(t)
	const prefix = "shop"
	dead := c.MasterOf(t, keys.In(prefix).NodePrefix()+"*") // where go-redis would listen to the messages of all nodes
	seeds := []string{dead.Addr()}                          // named first
	silent, living := withReplica(t, c, dead)
	var pits []*tarpit
	for _, node := range silent {
		node.Kill()
		pits = append(pits, startTarpit(t, node.Addr()))
	}
	for _, node := range living {
		seeds = append(seeds, node.Addr())
	}
	// By default such a cluster refuses everything. That has a remedy of its own, and is still the one failure.
	awaitState(t, living, "fail")
	status, out, errs := holdfast(t.Context(), "doctor", "-redis", living[0].Addr(), "-cluster", "-prefix", prefix)
	if found := findings(out); status != failed || errs != "" || found["topology"] != "warn" || strings.Contains(out, "\nfail") ||
		!strings.Contains(out, "CONFIG SET cluster-require-full-coverage no") {
		t.Errorf("status %d, errors %q\n%s", status, errs, out)
	}
	needNotBeWhole(t, living)
	awaitState(t, living, "ok")
	for _, p := range pits {
		p.dialed.Store(0)
	}
	commands := [][]string{{"doctor"}, {"locks"}, {"ls"}, {"revoke", "-yes", "-user", "bob"}, {"watch", "-for", "1ms"}}
	var all sync.WaitGroup
	for _, args := range commands { // all at once, since each waits for seconds
		all.Go(func() {
			status, out, errs := holdfast(t.Context(), append(args, "-redis", strings.Join(seeds, ","), "-prefix", prefix, "-timeout", "1m")...)
			if args[0] == "watch" || args[0] == "revoke" { // they may not need the dead one
				return
			}
			named := "master " + dead.Addr() + " of slots "
			if all := out + errs; status != failed || strings.Count(all, named) != 1 || !strings.Contains(all, "no replica that answers") {
				t.Errorf("%v: status %d, want one line about %s\n%s", args, status, dead.Addr(), all)
			}
			if args[0] == "doctor" {
				onlyOneFails(t, out)
			}
		})
	}
	all.Wait()
	met := int64(0)
	for _, p := range pits {
		met += p.dialed.Load()
	}
	if most := int64(waits * len(commands)); met == 0 || met > most { // each of them dials as often as it may
		t.Errorf("%d commands dialed the silent servers %d times, want %d at most", len(commands), met, most)
	}
}

// awaitState waits until all nodes agree on the state of their cluster.
func awaitState(t *testing.T, nodes []*redistest.Server, state string) {
	t.Helper()
	wait.Until(t, "the cluster's state is "+state, func() bool {
		return !slices.ContainsFunc(nodes, func(node *redistest.Server) bool {
			return !strings.Contains(node.Client(t).ClusterInfo(t.Context()).Val(), "cluster_state:"+state)
		})
	})
}

// onlyOneFails checks what doctor found: one failure, and warnings only of what every server of the tests lacks.
func onlyOneFails(t *testing.T, out string) {
	t.Helper()
	found := findings(out)
	for _, name := range checks {
		if want := map[string]string{"maxmemory": "warn", "persistence": "warn", "sessions": "warn"}[name]; found[name] == "fail" || want == "" && found[name] != "ok" &&
			name != "ping" && name != "script" {
			t.Errorf("%s is %q\n%s", name, found[name], out)
		}
	}
	if strings.Count(out, "\nfail")+strings.Count(out[:4], "fail") != 1 {
		t.Errorf("more than one failure for one problem\n%s", out)
	}
}
