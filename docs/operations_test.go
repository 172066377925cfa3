package docs_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// The user of Redis that operations.md gives to an application is enough for all that a Manager does, over TLS, and has
// nothing that it does not need.
func TestOperationsUserIsEnough(t *testing.T) {
	t.Parallel()
	rule := fenced(t, "operations.md", "acl")
	dir := t.TempDir()
	certs := newCertificates(t, dir)
	aclFile := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(aclFile, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	srv := redistest.Start(t,
		"--aclfile", aclFile, "--tls-port", port, "--tls-cert-file", certs.cert, "--tls-key-file", certs.key,
		"--tls-ca-cert-file", certs.cert, "--tls-auth-clients", "no", "--acllog-max-len", "1024")
	admin := srv.Client(t)
	ctx := t.Context()
	if err := admin.ConfigResetStat(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	newClient := func() redis.UniversalClient {
		rdb := redis.NewClient(&redis.Options{
			Addr: "localhost:" + port, Username: "holdfast", Password: "CHANGE-ME", ContextTimeoutEnabled: true,
			TLSConfig: &tls.Config{RootCAs: certs.pool, MinVersion: tls.VersionTLS12},
		})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}
	doEverything(t, newClient, admin)

	nothingDenied(t, admin)
	everythingUsed(t, rule, admin)
	thief := newClient()
	for _, args := range [][]any{{"GET", "another"}, {"HGETALL", "holdfast2:{x}"}, {"KEYS", "*"}, {"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"PUBLISH", "news", "x"}} {
		if err := thief.Do(ctx, args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// clusterNeeds is what operations.md adds to the rule for a cluster.
var clusterNeeds = regexp.MustCompile("(?m)^A cluster needs `([^`]+)` as well")

func TestOperationsUserOnACluster(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	more := clusterNeeds.FindStringSubmatch(page(t, "operations.md"))
	if more == nil {
		t.Fatal("operations.md does not say what a cluster needs")
	}
	rule := strings.TrimSpace(fenced(t, "operations.md", "acl")) + " " + more[1]
	cluster := redistest.StartCluster(t)
	var nodes []*redis.Client
	for _, n := range cluster.Nodes {
		rdb := n.Client(t)
		if err := rdb.ACLSetUser(t.Context(), strings.Fields(rule)[1], strings.Fields(rule)[2:]...).Err(); err != nil {
			t.Fatal(err)
		}
		if err := rdb.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, rdb)
	}
	doEverything(t, func() redis.UniversalClient {
		rdb := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{cluster.Nodes[0].Addr()}, Username: "holdfast", Password: "CHANGE-ME", ContextTimeoutEnabled: true,
		})
		t.Cleanup(func() { _ = rdb.Close() })
		return rdb
	}, cluster.Client(t))
	for _, n := range nodes {
		nothingDenied(t, n)
	}
	everythingUsed(t, more[1], nodes...)
}

func nothingDenied(t *testing.T, admin *redis.Client) {
	t.Helper()
	denied, err := admin.ACLLog(t.Context(), -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range denied {
		t.Errorf("Redis refused %s: %s %q", d.Username, d.Reason, d.Object)
	}
}

// everythingUsed compares what a rule allows with what the servers were asked for, also from inside of scripts.
func everythingUsed(t *testing.T, rule string, servers ...*redis.Client) {
	t.Helper()
	used := make(map[string]bool)
	for _, admin := range servers {
		stats, err := admin.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`cmdstat_(\S+):calls=[1-9]`).FindAllStringSubmatch(stats, -1) {
			used[m[1]] = true
		}
	}
	for _, m := range regexp.MustCompile(`\+(\S+)`).FindAllStringSubmatch(rule, -1) {
		if !used[m[1]] {
			t.Errorf("the rule allows %s, and nothing needs it", m[1])
		}
	}
}

// doEverything uses what a Manager has, on two replicas.
func doEverything(t *testing.T, newClient func() redis.UniversalClient, admin redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	cfg := &manager.Config{
		Insecure: true, IdleTimeout: time.Hour, LockTTL: time.Second, MaxUserSessions: 2,
		Logger: slog.New(slog.DiscardHandler),
	}
	var replicas []*manager.Manager
	for range 2 {
		m, err := manager.New(newClient(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := m.Close(ctx); err != nil {
				t.Error(err)
			}
		}()
		replicas = append(replicas, m)
	}
	count, code := manager.Key[int]("count"), manager.Key[string]("code")
	other := manager.Key[bool]("other")
	app := func(m *manager.Manager) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /add", func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			n := count.Get(s) + 1
			count.Set(s, n)
			code.SetFor(s, "1234", time.Minute)
			if n > 1 {
				code.Delete(s)
			}
			fmt.Fprint(w, n)
		})
		mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			s.Rotate()
			s.BindUser("ada")
		})
		mux.HandleFunc("GET /forever", func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			s.SetIdleTimeout(time.Minute)
			s.SetDeadline(time.Time{})
			s.BindUser("forever")
		})
		mux.Handle("GET /peek", m.ReadOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, count.Get(m.Session(r.Context())))
		})))
		mux.Handle("GET /optimistic", m.Optimistic(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			code.Set(s, fmt.Sprint(count.Get(s)))
			err := m.Update(r.Context(), s.ID(), func(s *manager.Session) error { other.Set(s, true); return nil })
			if err != nil {
				t.Errorf("while an optimistic request is under way: %v", err)
			}
		})))
		mux.HandleFunc("GET /logout", func(w http.ResponseWriter, r *http.Request) { m.Session(r.Context()).Destroy() })
		root := http.NewServeMux()
		root.Handle("/peek", mux)
		root.Handle("/optimistic", mux)
		root.Handle("/", m.Handler(mux))
		return root
	}
	var urls []string
	for _, m := range replicas {
		srv := httptest.NewServer(app(m))
		defer srv.Close()
		urls = append(urls, srv.URL)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	open := func() func(ctx context.Context, replica int, path string) int {
		jar, _ := cookiejar.New(nil)
		c := &http.Client{Jar: jar, Transport: tr}
		return func(ctx context.Context, replica int, path string) int {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, urls[replica]+path, nil)
			if err != nil {
				t.Error(err)
				return 0
			}
			resp, err := c.Do(req)
			if err != nil {
				return 0
			}
			_ = resp.Body.Close()
			return resp.StatusCode
		}
	}
	visit := open()
	must := func(replica int, path string) {
		t.Helper()
		if status := visit(ctx, replica, path); status != http.StatusOK {
			t.Fatalf("%s: got %d", path, status)
		}
	}
	must(0, "/add")
	must(1, "/add")
	must(0, "/peek")
	must(1, "/optimistic")
	must(0, "/login")
	for range 2 { // one more than the user may have
		if status := open()(ctx, 1, "/login"); status != http.StatusOK {
			t.Errorf("login: got %d", status)
		}
	}
	m := replicas[0]
	list, err := m.UserSessions(ctx, "ada")
	if err != nil || len(list) != cfg.MaxUserSessions {
		t.Errorf("UserSessions: %d, %v", len(list), err)
	}
	visit = open()
	must(0, "/add")
	must(0, "/peek") // from the copy: Redis hears of it when the Manager is closed
	must(0, "/forever")
	id, err := m.Create(ctx, func(s *manager.Session) error { count.Set(s, 1); s.BindUser("ada"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	contend(t, replicas, admin, id)
	if err := m.View(ctx, id, func(*manager.Session) error { return nil }); err != nil {
		t.Error(err)
	}
	for _, err := range m.All(ctx) {
		if err != nil {
			t.Error(err)
		}
	}
	if n, err := m.RevokeUser(ctx, "ada"); err != nil || n == 0 {
		t.Errorf("RevokeUser: %d, %v", n, err)
	}
	must(1, "/logout")
	if _, err := m.Revoke(ctx, id); err != nil {
		t.Error(err)
	}
}

// contend holds a session on one replica until its lock was renewed, while one request of the other replica waits for it
// and gets it, and another one gives up.
func contend(t *testing.T, replicas []*manager.Manager, admin redis.UniversalClient, id string) {
	t.Helper()
	ctx := t.Context()
	key := "holdfast:{" + id + "}"
	nothing := func(*manager.Session) error { return nil }
	waiter := make(chan error, 1)
	err := replicas[0].Update(ctx, id, func(*manager.Session) error {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := replicas[1].Update(short, id, nothing); !errors.Is(err, manager.ErrLockTimeout) {
			t.Errorf("a waiter that gives up: %v", err)
		}
		go func() { waiter <- replicas[1].Update(ctx, id, nothing) }()
		wait.Until(t, "a waiter", func() bool { return admin.LLen(ctx, key+":queue").Val() == 1 })
		least := time.Hour
		wait.Until(t, "the lock renewed", func() bool {
			ttl := admin.PTTL(ctx, key+":lock").Val()
			least = min(least, ttl)
			return ttl > least+100*time.Millisecond
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-waiter; err != nil {
		t.Errorf("a waiter: %v", err)
	}
}

// certificates is a certificate for localhost that signs itself.
type certificates struct {
	cert, key string // files
	pool      *x509.CertPool
}

func newCertificates(t *testing.T, dir string) certificates {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := certificates{cert: filepath.Join(dir, "redis.crt"), key: filepath.Join(dir, "redis.key"), pool: x509.NewCertPool()}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.pool.AppendCertsFromPEM(text)
	for file, data := range map[string][]byte{c.cert: text, c.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// fenced returns the one block of a language in a page.
func fenced(t *testing.T, name, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page(t, name), -1)
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks of %s, want one", name, len(blocks), language)
	}
	return blocks[0][1]
}

// page returns the text of a page.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
