package target

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/report"
)

// The variables that passwords are taken from. In arguments every user of the machine would see them.
const (
	PasswordVariable         = "HOLDFAST_REDIS_PASSWORD" //nolint:gosec // a name, no password
	SentinelPasswordVariable = "HOLDFAST_SENTINEL_PASSWORD"
)

// Config says where the sessions are.
type Config struct {
	Redis    string // addresses or URLs, comma-separated
	Sentinel string // the name of the set, if the addresses are Sentinels
	Cluster  bool   // a single address is a node of a cluster too
	Prefix   string
	Timeout  time.Duration // of one call

	CACert, Cert, Key string // files in PEM, for rediss://; empty: the system's authorities, no certificate

	seeds            []string
	tls              *tls.Config
	db               int
	username         string
	password         string
	sentinelPassword string
}

// Register adds the flags that all commands have in common.
func (c *Config) Register(flags *flag.FlagSet) {
	flags.StringVar(&c.Redis, "redis", "localhost:6379", "")
	flags.StringVar(&c.Sentinel, "sentinel", "", "")
	flags.BoolVar(&c.Cluster, "cluster", false, "")
	flags.StringVar(&c.Prefix, "prefix", keys.DefaultPrefix, "")
	flags.StringVar(&c.CACert, "cacert", "", "")
	flags.StringVar(&c.Cert, "cert", "", "")
	flags.StringVar(&c.Key, "key", "", "")
	flags.DurationVar(&c.Timeout, "timeout", CallTime, "")
}

// hostPort is what an address may look like. Nothing else is repeated in a message: it may hold a password.
var hostPort = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$`)

// IsAddress reports whether a text is host:port.
func IsAddress(text string) bool { return hostPort.MatchString(text) }

var errAddress = errors.New("-redis needs host:port or redis://user:password@host:port/db, comma-separated if several; " +
	"special characters in a password are percent-encoded")

// Read takes in what the flags say, and passwords from the environment. Its errors are mistakes of the user.
func (c *Config) Read(env func(string) string) error {
	if c.Timeout <= 0 {
		return fmt.Errorf("-timeout must be positive, not %v", c.Timeout)
	}
	if c.Cluster && c.Sentinel != "" {
		return errors.New("-cluster and -sentinel exclude each other: a cluster needs no Sentinels")
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return errors.New("-prefix has braces, which no application's prefix can have: give its Config.Prefix")
	}
	c.password, c.sentinelPassword = env(PasswordVariable), env(SentinelPasswordVariable)
	for i, part := range strings.Split(c.Redis, ",") {
		if err := c.add(strings.TrimSpace(part), i == 0); err != nil {
			return err
		}
	}
	if err := c.readCertificates(); err != nil {
		return err
	}
	if c.clustered() && c.db != 0 {
		return errors.New("a Redis Cluster has database 0 only: leave the number out of the URL")
	}
	return nil
}

// readCertificates takes in the files that the flags name. No error repeats what is in them.
func (c *Config) readCertificates() error {
	switch {
	case c.CACert == "" && c.Cert == "" && c.Key == "":
		return nil
	case c.tls == nil:
		return errors.New("-cacert, -cert and -key are for TLS: give the addresses as rediss://HOST:PORT")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("-cert and -key belong together: give both")
	}
	if c.CACert != "" {
		text, err := os.ReadFile(c.CACert)
		if err != nil {
			return fmt.Errorf("-cacert: %w", err)
		}
		if c.tls.RootCAs, err = authorities(text); err != nil {
			return fmt.Errorf("-cacert: %s %w", c.CACert, err)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return fmt.Errorf("-cert and -key: %w", err)
		}
		c.tls.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// authorities reads certificates in PEM. Unlike x509.CertPool it refuses a file of which it would skip a part.
func authorities(text []byte) (*x509.CertPool, error) {
	pool, n := x509.NewCertPool(), 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("has a broken certificate, number %d", n+1)
		}
		pool.AddCert(cert)
		n++
	}
	switch begun := bytes.Count(text, []byte("-----BEGIN CERTIFICATE-----")); {
	case n == 0:
		return nil, errors.New("contains no PEM certificate")
	case begun > n:
		return nil, fmt.Errorf("begins %s, of which %d can be read: the file was cut short or edited", report.Count(begun, "certificate"), n)
	}
	return pool, nil
}

func (c *Config) add(text string, first bool) error {
	addr := text
	secure := false
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
			return errAddress // what url says about it may quote the password
		}
		secure = u.Scheme == "rediss"
		port := u.Port()
		if port == "" {
			port = "6379"
		}
		addr = net.JoinHostPort(u.Hostname(), port)
		if err := c.addURL(u); err != nil {
			return err
		}
	}
	if !IsAddress(addr) {
		return errAddress
	}
	switch host, _, _ := net.SplitHostPort(addr); {
	case first && secure:
		c.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	case secure != (c.tls != nil):
		return errors.New("-redis has addresses with TLS and without: give all as rediss:// or none")
	case secure:
		c.tls.ServerName = "" // each server shows the certificate of its own name
	}
	c.seeds = append(c.seeds, addr)
	return nil
}

// addURL takes in what a URL contains in addition to the address.
func (c *Config) addURL(u *url.URL) error {
	if user := u.User.Username(); user != "" {
		c.username = user
	}
	if password, ok := u.User.Password(); ok && password != "" {
		c.password = password
	}
	if len(u.Query()) > 0 || u.RawQuery != "" {
		return errors.New("-redis takes no options in the URL: use the flags")
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		db, err := strconv.Atoi(path)
		if err != nil || db < 0 {
			return errAddress
		}
		c.db = db
	}
	return nil
}

// clustered reports whether a cluster is asked for.
func (c *Config) clustered() bool { return c.Sentinel == "" && (c.Cluster || len(c.seeds) > 1) }

// options are for a client of one address. A person waits: nothing is tried twice.
func (c *Config) options(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, Username: c.username, Password: c.password, DB: c.db, TLSConfig: c.tls,
		DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
		MaxRetries: -1, DialerRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// sentinelOptions are for a client of a Sentinel itself.
func (c *Config) sentinelOptions(addr string) *redis.Options {
	o := c.options(addr)
	o.Username, o.Password, o.DB = "", c.sentinelPassword, 0
	return o
}
