package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
)

// behindTLS puts a Redis behind TLS, with a certificate that no system trusts, and returns the address and the file with
// the certificate. It is written out, so that the example can be copied.
func behindTLS(t *testing.T) (addr, ca string) {
	t.Helper()
	srv, err := embedded.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	var links sync.WaitGroup
	links.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			links.Go(func() { pipe(from, srv.Addr()) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); links.Wait() })
	return l.Addr().String(), ca
}

// pipe ends with the first side that does.
func pipe(from net.Conn, addr string) {
	defer from.Close()
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
	_, _ = io.Copy(to, from)
	_ = to.Close()
	back.Wait()
}

// REDIS_CA makes the program trust a private authority; without it the certificate is refused.
func TestPrivateAuthority(t *testing.T) {
	t.Parallel()
	addr, ca := behindTLS(t)
	for _, with := range []bool{true, false} {
		env := map[string]string{"REDIS_URL": "rediss://" + addr + "?max_retries=-1"}
		if with {
			env["REDIS_CA"] = ca
		}
		set, err := settingsFrom(func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		rdb := set.redis.open()
		if err := rdb.Ping(t.Context()).Err(); (err == nil) != with {
			t.Errorf("with the authority %v: %v", with, err)
		}
		_ = rdb.Close()
	}
	for name, file := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "no PEM": os.Args[0]} {
		env := map[string]string{"REDIS_URL": "rediss://" + addr, "REDIS_CA": file}
		if _, err := settingsFrom(func(name string) string { return env[name] }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
