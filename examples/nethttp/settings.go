package main

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

type settings struct {
	listen       string
	redis        server
	sessions     manager.Config
	drain, grace time.Duration
}

// settingsFrom reads the environment:
//
//	LISTEN           address of the server; localhost:8080
//	REDIS_URL        redis:// or rediss:// with user and password; redis://localhost:6379
//	                 Sentinel: redis://host:26379?master_name=NAME&addr=host2:26379&username=USER&password=PASSWORD
//	                 Cluster:  redis://user:password@host:6379?addr=host2:6379
//	REDIS_CA         file with the certificates that rediss:// trusts; those of the system
//	TOKEN_KEYS       keys in base64, separated by commas, the newest first; none
//	ENCRYPTION_KEYS  likewise
//	TRUSTED_PROXIES  networks of the balancer, separated by commas; none
//	INSECURE         "1" for plain HTTP; off
//	DRAIN, GRACE     how long the balancer needs to take note, and requests to finish; 0s and 25s
func settingsFrom(env func(string) string) (s settings, err error) {
	s.listen = cmp.Or(env("LISTEN"), "localhost:8080")
	if s.redis, err = serverFrom(cmp.Or(env("REDIS_URL"), "redis://localhost:6379"), env("REDIS_CA")); err != nil {
		return s, fmt.Errorf("REDIS_URL: %w", err)
	}
	c := &s.sessions
	c.IdleTimeout = 30 * time.Minute
	c.Insecure = env("INSECURE") == "1"
	if c.TokenKeys, err = keys(env("TOKEN_KEYS")); err != nil {
		return s, fmt.Errorf("TOKEN_KEYS: %w", err)
	}
	if c.EncryptionKeys, err = keys(env("ENCRYPTION_KEYS")); err != nil {
		return s, fmt.Errorf("ENCRYPTION_KEYS: %w", err)
	}
	for _, text := range list(env("TRUSTED_PROXIES")) {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return s, fmt.Errorf("TRUSTED_PROXIES: %w", err)
		}
		c.TrustedProxies = append(c.TrustedProxies, network)
	}
	if s.drain, err = time.ParseDuration(cmp.Or(env("DRAIN"), "0s")); err != nil {
		return s, fmt.Errorf("DRAIN: %w", err)
	}
	if s.grace, err = time.ParseDuration(cmp.Or(env("GRACE"), "25s")); err != nil {
		return s, fmt.Errorf("GRACE: %w", err)
	}
	return s, nil
}

func list(text string) (items []string) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// keys never reveals a key, not even in its errors.
func keys(text string) (keys [][]byte, err error) {
	for i, item := range list(text) {
		key, err := base64.StdEncoding.DecodeString(item)
		if err != nil {
			return nil, fmt.Errorf("key %d is not in base64", i)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
