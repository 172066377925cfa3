package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
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
	srv := redistest.Start(t,
		"--aclfile", aclFile, "--tls-cert-file", certs.cert, "--tls-key-file", certs.key,
		"--tls-ca-cert-file", certs.cert, "--tls-auth-clients", "no", "--acllog-max-len", "1024")
	addr := strings.Replace(srv.ListenTLS(t), "127.0.0.1", "localhost", 1) // as the certificate names it
	admin := srv.Client(t)
	ctx := t.Context()
	if err := admin.ConfigResetStat(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	newClient := func() redis.UniversalClient {
		rdb := redis.NewClient(&redis.Options{
			Addr: addr, Username: "holdfast", Password: "CHANGE-ME", ContextTimeoutEnabled: true,
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
	cluster := redistest.StartPatientCluster(t)
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

// fenced returns the one block of a language in a page.
func fenced(t *testing.T, name, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(page(t, name), -1)
	if len(blocks) != 1 {
		t.Fatalf("%s has %d blocks of %s, want one", name, len(blocks), language)
	}
	return blocks[0][1]
}

// page returns the text of a page. The tests of examples/deploy, in another module, read their files likewise.
func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
