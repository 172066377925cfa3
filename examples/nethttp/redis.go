package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// server is the Redis of the program, in any topology.
type server struct {
	name string // for logs
	open func() redis.UniversalClient
}

// errURL says nothing of what was given: the parts of a URL that cannot be read may well be its password.
var errURL = errors.New("it cannot be read; want redis://user:password@host:6379/0, and characters such as / # % in the password escaped")

// serverFrom reads a URL. With "master_name" in its query it is that of a Sentinel, with "addr" that of a node of a
// cluster, and of a single Redis otherwise. The file ca, if there is one, holds the certificates that rediss:// trusts.
func serverFrom(text, ca string) (server, error) {
	u, err := url.Parse(text)
	if err != nil {
		return server{}, errURL
	}
	trust, err := trusting(ca, u.Scheme)
	if err != nil {
		return server{}, err
	}
	switch q := u.Query(); {
	case q.Has("master_name"):
		return sentinel(text, trust)
	case q.Has("addr"):
		return cluster(text, trust)
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return server{}, errURL
	}
	o.ContextTimeoutEnabled = true
	trust(o.TLSConfig)
	return server{o.Addr, func() redis.UniversalClient { return redis.NewClient(o) }}, nil
}

func sentinel(text string, trust func(*tls.Config)) (server, error) {
	o, err := redis.ParseFailoverURL(text)
	if err != nil {
		return server{}, errURL
	}
	o.ContextTimeoutEnabled = true
	trust(o.TLSConfig)
	name := "Sentinel " + o.MasterName + " at " + strings.Join(o.SentinelAddrs, ", ")
	return server{name, func() redis.UniversalClient { return redis.NewFailoverClient(o) }}, nil
}

func cluster(text string, trust func(*tls.Config)) (server, error) {
	o, err := redis.ParseClusterURL(text)
	if err != nil {
		return server{}, errURL
	}
	o.ContextTimeoutEnabled = true
	trust(o.TLSConfig)
	name := "cluster at " + strings.Join(o.Addrs, ", ")
	return server{name, func() redis.UniversalClient { return redis.NewClusterClient(o) }}, nil
}

// trusting returns what makes a TLS configuration trust the certificates in a file.
func trusting(ca, scheme string) (func(*tls.Config), error) {
	if ca == "" {
		return func(*tls.Config) {}, nil
	}
	if scheme != "rediss" {
		return nil, errors.New("REDIS_CA is set, and the URL is not rediss://, so there is no TLS")
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("REDIS_CA: the file has no certificate in PEM form")
	}
	return func(c *tls.Config) { c.RootCAs = roots }, nil
}
