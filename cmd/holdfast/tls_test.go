package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// authority writes an authority of its own and a certificate of 127.0.0.1 by it, and returns the files.
func authority(t *testing.T, change ...func(leaf *x509.Certificate)) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rootKey, leafKey := newKey(), newKey()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a private authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, f := range change {
		f(leaf)
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", rootDER), write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "EC PRIVATE KEY", keyDER)
}

func TestPrivateAuthority(t *testing.T) {
	t.Parallel()
	ca, cert, key := authority(t)
	srv := redistest.Start(t)
	set := func(values ...string) {
		t.Helper()
		for i := 0; i < len(values); i += 2 {
			if err := srv.Client(t).ConfigSet(t.Context(), values[i], values[i+1]).Err(); err != nil {
				t.Fatalf("%s: %v", values[i], err)
			}
		}
	}
	set("tls-cert-file", cert, "tls-key-file", key, "tls-ca-cert-file", ca, "tls-auth-clients", "no")
	secure := srv.ListenTLS(t)
	addr := "rediss://" + secure
	problem(t, with{}, []string{"ls", "-redis", addr}, "does not trust", "-cacert")
	must := func(args ...string) {
		t.Helper()
		if status, _, errs := holdfast(t.Context(), append([]string{"ls", "-redis", addr}, args...)...); status != succeeded || errs != "" {
			t.Errorf("%v: status %d, errors %q", args, status, errs)
		}
	}
	must("-cacert", ca)
	set("tls-auth-clients", "yes")
	status, _, errs := holdfast(t.Context(), "ls", "-redis", addr, "-cacert", ca)
	if status != failed || !strings.Contains(errs, "certificate") && !strings.Contains(errs, "closed the connection") {
		t.Errorf("without a certificate: status %d, errors %q", status, errs)
	}
	must("-cacert", ca, "-cert", cert, "-key", key)
	set("tls-auth-clients", "no")
	other, _, _ := authority(t)
	problem(t, with{}, []string{"doctor", "-redis", addr, "-cacert", other}, "does not trust", "if it is given, correct it")
	problem(t, with{}, []string{"doctor", "-redis", "rediss://" + strings.Replace(secure, "127.0.0.1", "localhost", 1), "-cacert", ca}, "certificate of another name")
	problem(t, with{}, []string{"doctor", "-redis", "rediss://" + srv.Addr(), "-cacert", ca, "-timeout", "100ms"}, "may not speak TLS")
	problem(t, with{}, []string{"doctor", "-redis", strings.Replace(addr, "rediss", "redis", 1)}, "require TLS (rediss://)")
	out := ""
	status, out, errs = holdfast(t.Context(), "doctor", "-redis", addr, "-cacert", ca)
	if found := findings(out); status != succeeded || errs != "" || found["scripts"] != "ok" || found["pub/sub"] != "ok" {
		t.Errorf("doctor over TLS: status %d, errors %q\n%s", status, errs, out)
	}
}

func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	ca, cert, key := authority(t, func(leaf *x509.Certificate) { leaf.NotAfter = time.Now().Add(-time.Minute) })
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // makes the handshake
			_ = conn.Close()
		}
	}()
	problem(t, with{}, []string{"ls", "-redis", "rediss://" + l.Addr().String(), "-cacert", ca}, "not valid now", "renew it")
}

// file writes a text to a file of its own.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificateFlags(t *testing.T) {
	t.Parallel()
	ca, cert, key := authority(t)
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	text, broken := string(data), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-cacert", ca}, "rediss://"},
		{[]string{"-redis", "rediss://localhost:1", "-cert", cert}, "belong together"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", key}, "contains no PEM certificate"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", "absent.pem"}, "-cacert: open absent.pem: no such file"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", t.TempDir()}, "-cacert: read "},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", file(t, "")}, "contains no PEM certificate"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", file(t, "a certificate")}, "contains no PEM certificate"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", file(t, text[:len(text)/2])}, "contains no PEM certificate"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", file(t, text+text[:len(text)/2])}, "begins 2 certificates, of which 1 can be read"},
		{[]string{"-redis", "rediss://localhost:1", "-cacert", file(t, text+broken)}, "broken certificate, number 2"},
		{[]string{"-redis", "rediss://localhost:1", "-cert", key, "-key", cert}, "-cert and -key"},
	} {
		status, _, errs := holdfast(t.Context(), append([]string{"ls"}, c.args...)...)
		if status != misused || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, errors %q", c.args, status, errs)
		}
	}
}
