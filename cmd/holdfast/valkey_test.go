package main

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// likeValkey stands in front of a Redis and answers as Valkey 8 does where the two differ: in INFO. What it writes is as
// long as what it replaces, so that the lengths in front stay true.
func likeValkey(t *testing.T, addr string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				_ = client.Close()
				continue
			}
			all.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			all.Go(func() { translate(client, server); _ = client.Close() })
		}
	})
	return l.Addr().String()
}

var (
	sha     = regexp.MustCompile(`redis_git_sha1:0`)
	buildID = regexp.MustCompile(`redis_build_id:[0-9a-f]{14,16}`)
)

func translate(to io.Writer, from io.Reader) {
	for buf := make([]byte, 1<<20); ; {
		n, err := from.Read(buf)
		b := buf[:n]
		if bytes.Contains(b, []byte("redis_mode:")) {
			b = bytes.Replace(b, []byte("redis_mode:"), []byte("server_mode:"), 1)
			b = sha.ReplaceAll(b, []byte("redis_git_sha1:"))
			b = buildID.ReplaceAllFunc(b, func(old []byte) []byte {
				return append([]byte("valkey_version:8.0.1\r\nx:"), bytes.Repeat([]byte("x"), len(old)-len("valkey_version:8.0.1\r\nx:"))...)
			})
		}
		if _, failed := to.Write(b); failed != nil || err != nil {
			return
		}
	}
}

func TestValkey(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	addr := likeValkey(t, srv.Addr())
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	m := newReplica(t, rdb, "")
	id, _ := login(t, m, "bob", "x")
	for _, args := range [][]string{{"ls"}, {"ls", "-user", "bob"}, {"show", id}, {"locks"}, {"watch", "-for", "20ms"}, {"doctor"}, {"revoke", "-yes", id}} {
		status, out, errs := holdfast(t.Context(), append(args, "-redis", addr)...)
		if status != succeeded || errs != "" {
			t.Errorf("%v: status %d, errors %q", args, status, errs)
		}
		if args[0] == "doctor" && !strings.Contains(out, "Valkey 8.0.1, compatible with Redis ") {
			t.Errorf("doctor:\n%s", out)
		}
	}
	problem(t, with{}, []string{"ls", "-redis", addr, "-sentinel", "x"}, "is a Redis and not a Sentinel")
	problem(t, with{}, []string{"ls", "-redis", addr, "-cluster"}, "not a node of a cluster")
}

// Whatever may be asked, a node of a cluster alone is no place to list sessions, and no empty one.
func TestValkeyCluster(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--cluster-enabled", "yes")
	addr := likeValkey(t, srv.Addr())
	if err := srv.Client(t).Do(t.Context(), "ACL", "SETUSER", "few", "on", ">"+password, "~*", "&*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls"}, {"ls", "-user", "bob"}, {"show", strings.Repeat("A", 22)}, {"locks"}, {"watch", "-for", "20ms"}, {"doctor"}, {"revoke", "-yes", "-user", "bob"}} {
		problem(t, with{}, append(args, "-redis", addr), "is a node of a Redis Cluster")
		problem(t, env(password), append(args, "-redis", "redis://few@"+addr), "is a node of a Redis Cluster")
	}
}

func TestValkeySentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartPatientSentinel(t)
	addr := likeValkey(t, set.Addrs()[0])
	problem(t, with{}, []string{"ls", "-redis", addr}, "is a Sentinel and holds no sessions", "-sentinel NAME")
	problem(t, with{}, []string{"ls", "-redis", addr, "-cluster"}, "is a Sentinel and not a node of a cluster")
}
