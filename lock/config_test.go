package lock_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/lock"
)

// A bad setting is refused with an error that names it.
func TestConfigErrorsNameTheField(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "localhost:1"}) // never dialled
	t.Cleanup(func() { client.Close() })
	for _, bad := range []struct {
		field string
		cfg   lock.Config
	}{
		{"TTL", lock.Config{TTL: 29 * time.Millisecond}},
		{"TTL", lock.Config{TTL: -1}},
		{"GrantTTL", lock.Config{GrantTTL: time.Microsecond}},
		{"GrantTTL", lock.Config{GrantTTL: -time.Second}},
		{"GrantTTL", lock.Config{TTL: time.Second, GrantTTL: 2 * time.Second}},
		{"Retain", lock.Config{Retain: lock.MinRetain - 1}},
		{"MaxWaiters", lock.Config{MaxWaiters: -1}},
		{"Timeout", lock.Config{Timeout: time.Microsecond}},
		{"Timeout", lock.Config{Timeout: -time.Second}},
	} {
		l, err := lock.New(client, &bad.cfg)
		if err == nil {
			l.Close(t.Context())
			t.Errorf("%+v was accepted", bad.cfg)
			continue
		}
		if !strings.Contains(err.Error(), "Config."+bad.field+" ") {
			t.Errorf("the error for %s is %q", bad.field, err)
		}
	}
}

func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "localhost:1"})
	t.Cleanup(func() { client.Close() })
	cfg := lock.Config{Node: "node"} // no listener that would dial
	l, err := lock.New(client, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TTL != 0 || cfg.Logger != nil {
		t.Errorf("the caller's Config became %+v", cfg)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClientsThatCannotCarryGrants(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "localhost:1"}, HeartbeatFrequency: time.Hour})
	t.Cleanup(func() { ring.Close() })
	for name, client := range map[string]redis.UniversalClient{"nil": nil, "Ring": ring} {
		if l, err := lock.New(client, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, %v", name, l, err)
		}
	}
}
