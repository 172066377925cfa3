package main

import (
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// problem runs a command that must fail with one line which says what is wrong and what to do.
func problem(t *testing.T, w with, args []string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, out, errs := w.holdfast(ctx, args...)
	if status != failed || out != "" || strings.Count(errs, "\n") != 1 {
		t.Errorf("%v: status %d, output %q, errors %q", args, status, out, errs)
	}
	for _, part := range want {
		if !strings.Contains(errs, part) {
			t.Errorf("%v: message is %q, want %q in it", args, errs, part)
		}
	}
	for _, password := range w.env {
		lacks(t, errs, password)
	}
}

const password = "correct-horse-battery"

func env(password string) with {
	return with{env: map[string]string{"HOLDFAST_REDIS_PASSWORD": password}}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	rdb := srv.Client(t)
	err := errors.Join(
		rdb.Do(t.Context(), "ACL", "SETUSER", "bob", "on", ">"+password, "~*", "&*", "+@all", "-@admin", "-@dangerous").Err(),
		rdb.ConfigSet(t.Context(), "requirepass", password).Err(),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commands[1:] {
		args := []string{c.name, "-redis", srv.Addr()}
		switch c.name {
		case "show":
			args = append(args, strings.Repeat("A", 22))
		case "revoke":
			args = append(args, "-yes", "-user", "bob")
		case "failover":
			args = append(args, "-dry-run")
		}
		problem(t, with{}, args, "asks for a password", "HOLDFAST_REDIS_PASSWORD")
		problem(t, env("wrong-password"), args, "refuses the user or password")
	}
	problem(t, with{env: map[string]string{"": "in-the-url"}}, []string{"ls", "-redis", "redis://:in-the-url@" + srv.Addr()}, "refuses the user or password")
	problem(t, env(password), []string{"ls", "-redis", "redis://" + srv.Addr() + "/99"}, "no database of that number")
	for _, addr := range []string{srv.Addr(), "redis://" + srv.Addr() + "/1", "redis://bob@" + srv.Addr()} {
		if status, _, errs := env(password).holdfast(t.Context(), "ls", "-redis", addr); status != succeeded || errs != "" {
			t.Errorf("%s: status %d, errors %q", addr, status, errs)
		}
	}
	if status, _, errs := holdfast(t.Context(), "ls", "-redis", "redis://bob:"+password+"@"+srv.Addr()); status != succeeded || errs != "" {
		t.Errorf("in the URL: status %d, errors %q", status, errs)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	problem(t, with{}, []string{"ls", "-redis", "127.0.0.1:1"}, "cannot reach Redis at 127.0.0.1:1", "connection refused")
	problem(t, with{}, []string{"ls", "-redis", "127.0.0.1:1,127.0.0.1:2"}, "cannot reach Redis at 127.0.0.1:1", "connection refused")
	problem(t, with{}, []string{"ls", "-redis", "127.0.0.1:1", "-sentinel", "x"}, "cannot reach Sentinel at 127.0.0.1:1")

	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	addr := silent.Addr().String()
	problem(t, with{}, []string{"ls", "-timeout", "50ms", "-redis", addr}, "does not answer within 50ms", "-timeout")
	problem(t, with{}, []string{"ls", "-timeout", "50ms", "-redis", "rediss://" + addr}, "may not speak TLS")

	stranger, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := stranger.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	problem(t, with{}, []string{"ls", "-redis", "rediss://" + stranger.Addr().String()}, "does not speak TLS", "redis://")
	problem(t, with{}, []string{"ls", "-redis", stranger.Addr().String()}, "does not answer as a Redis does")
	_ = stranger.Close()
	<-served
}

// Redis goes away in the middle of a listing.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	prefix := redistest.Prefix(t)
	populate(t, srv, prefix, 2000)
	out := &firstRow{at: srv.Kill}
	var errs strings.Builder
	status := run(t.Context(), []string{"ls", "-json", "-redis", srv.Addr(), "-prefix", prefix},
		process{out: out, errs: &errs, env: func(string) string { return "" }})
	if status != failed || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "Redis at "+srv.Addr()) {
		t.Errorf("status %d, errors %q", status, errs.String())
	}
}

func TestReplicaTakesNoRevocation(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	login(t, a.Manager, "bob", "x")
	host, port, _ := net.SplitHostPort(a.args[1])
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	rdb := replica.Client(t)
	wait.Until(t, "replication", func() bool {
		return strings.Contains(rdb.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	args := []string{"-redis", replica.Addr(), "-prefix", a.args[3]}
	status, out, errs := holdfast(t.Context(), append([]string{"ls"}, args...)...)
	if status != succeeded || len(listed(out)) != 1 {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	status, out, errs = holdfast(t.Context(), append([]string{"revoke", "-yes", "-user", "bob"}, args...)...)
	if status != failed || out != "revoked 0 sessions of user bob\n" || !strings.Contains(errs, "is a replica") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	status, out, _ = holdfast(t.Context(), append([]string{"doctor"}, args...)...)
	if status != failed || !strings.Contains(out, "fail  topology     standalone, a replica") {
		t.Errorf("status %d, output %q", status, out)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	c := redistest.StartPatientCluster(t)
	prefix := redistest.Prefix(t)
	m := newReplica(t, c.Client(t), prefix)
	want := map[string]bool{}
	for range 30 {
		id, _ := login(t, m, "bob", "x")
		want[id] = true
	}
	one := c.Nodes[0].Addr()
	problem(t, with{}, []string{"ls", "-redis", one}, one+" is a node of a Redis Cluster", "-cluster")
	problem(t, with{}, []string{"doctor", "-redis", one, "-sentinel", "x"}, "not a Sentinel")
	problem(t, with{}, []string{"ls", "-redis", "redis://" + one + "/1"}, "is a node of a Redis Cluster", "-cluster")
	problem(t, with{}, []string{"ls", "-cluster", "-redis", redistest.Shared(t).Addr(t)}, "not a node of a cluster")

	for _, args := range [][]string{{"-cluster", "-redis", one}, {"-redis", "127.0.0.1:1," + one + "," + c.Nodes[1].Addr()}} {
		args = append(args, "-prefix", prefix)
		status, out, errs := holdfast(t.Context(), append([]string{"ls"}, args...)...)
		if status != succeeded || errs != "" {
			t.Fatalf("%v: status %d, errors %q", args, status, errs)
		}
		for _, id := range listed(out) {
			if !want[id] {
				t.Errorf("%s was listed", id)
			}
		}
		if len(listed(out)) != len(want) {
			t.Errorf("%v: listed %d of %d", args, len(listed(out)), len(want))
		}
	}
	a := &app{Manager: m, args: []string{"-cluster", "-redis", one, "-prefix", prefix}}
	for id := range want {
		a.must(t, "show", id)
		break
	}
	if out := a.must(t, "doctor"); !strings.Contains(out, "Cluster, a primary with 1 replica (all 3 masters)") ||
		!strings.Contains(out, "through each of 3 masters") {
		t.Errorf("got\n%s", out)
	}
	a.must(t, "locks")
	var seen screen
	end := a.background(t, &seen, "watch", "-kind", "probe")
	wait.Until(t, "probes", func() bool { return strings.Contains(seen.String(), "through master 2") })
	if status, errs := end(); status != succeeded || errs != "" {
		t.Errorf("watch: status %d, errors %q", status, errs)
	}
	if out := a.must(t, "revoke", "-user", "bob", "-yes"); out != "revoked 30 sessions of user bob\n" {
		t.Errorf("got %q", out)
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	s := redistest.StartPatientSentinel(t)
	prefix := redistest.Prefix(t)
	id, _ := login(t, newReplica(t, s.Client(t), prefix), "bob", "x")
	sentinel, server := s.Sentinels[0].Addr(), s.Servers[0].Addr()
	problem(t, with{}, []string{"ls", "-redis", sentinel}, sentinel+" is a Sentinel", "-sentinel NAME", "it watches holdfast")
	problem(t, env("unwanted-here"), []string{"ls", "-redis", sentinel}, sentinel+" is a Sentinel")
	problem(t, with{}, []string{"ls", "-redis", sentinel + "," + s.Sentinels[1].Addr()}, "not a node of a cluster", "-sentinel NAME")
	problem(t, with{}, []string{"ls", "-redis", sentinel, "-sentinel", "mymaster"}, "watches no set of that name", "it watches holdfast")
	problem(t, with{}, []string{"ls", "-redis", server, "-sentinel", "holdfast"}, server+" is a Redis and not a Sentinel")

	a := &app{args: []string{"-sentinel", "holdfast", "-redis", "127.0.0.1:1," + sentinel, "-prefix", prefix}}
	if got := listed(a.must(t, "ls")); len(got) != 1 || got[0] != id {
		t.Errorf("got %v", got)
	}
	if out := a.must(t, "doctor"); !strings.Contains(out, "Sentinel, a primary with 2 replicas") {
		t.Errorf("got\n%s", out)
	}
	a.must(t, "watch", "-for", "20ms")
	a.must(t, "revoke", id, "-yes")
}

// What docs/operator.md says that a user of the tool needs is enough, and a user with less gets an error that names it.
func TestRights(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?m)^user operator on >CHANGE-ME (.*)$`).FindSubmatch(page)
	if rule == nil {
		t.Fatal("docs/operator.md has no rule")
	}
	srv := redistest.Start(t)
	rdb := srv.Client(t)
	define := func(user string, rules ...string) {
		args := []any{"ACL", "SETUSER", user, "on", ">" + password}
		for _, r := range rules {
			args = append(args, r)
		}
		if err := rdb.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	define("operator", strings.Fields(string(rule[1]))...)
	define("less", append(strings.Fields(string(rule[1])), "-hkeys")...)
	id, _ := login(t, newReplica(t, rdb, ""), "bob", "x")
	for _, args := range [][]string{
		{"ls"}, {"ls", "-user", "bob"}, {"show", id}, {"locks"}, {"watch", "-for", "20ms"}, {"revoke", "-yes", id},
	} {
		if args[0] == "ls" {
			status, _, errs := env(password).holdfast(t.Context(), append(args, "-redis", "redis://less@"+srv.Addr())...)
			if status != failed || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "does not let this user do that: NOPERM") {
				t.Errorf("%v: status %d, errors %q", args, status, errs)
			}
		}
		status, out, errs := env(password).holdfast(t.Context(), append(args, "-redis", "redis://operator@"+srv.Addr())...)
		if status != succeeded || errs != "" || args[0] == "ls" && len(listed(out)) != 1 {
			t.Errorf("%v: status %d, errors %q, output\n%s", args, status, errs, out)
		}
	}
	status, out, errs := env(password).holdfast(t.Context(), "doctor", "-redis", "redis://operator@"+srv.Addr())
	if found := findings(out); status != succeeded || errs != "" || found["scripts"] != "ok" || found["locks"] != "ok" || found["pub/sub"] != "ok" || found["buffers"] != "ok" {
		t.Errorf("doctor: status %d, errors %q, output\n%s", status, errs, out)
	}
}
