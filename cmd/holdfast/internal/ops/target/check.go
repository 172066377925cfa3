package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/admin"
)

// mode asks a server what it is: "standalone", "cluster" or "sentinel"; empty if the user may not ask.
func mode(ctx context.Context, o *redis.Options) (string, error) {
	c := redis.NewClient(o)
	defer c.Close()
	text, err := c.Info(ctx, "server").Result()
	if err != nil && !redis.IsPermissionError(err) {
		return "", err
	}
	// It answers, and has let the user in. Valkey has a name of its own for the field.
	info := admin.ReadInfo(text)
	if found := cmp.Or(info["redis_mode"], info["server_mode"]); found != "" {
		return found, nil
	}
	hello, _ := c.Do(ctx, "HELLO").Result() // tells it as well, to users who may not run INFO
	found, _ := field(hello, "mode").(string)
	return found, nil
}

// field reads a field of an answer that is a map, or a list of names and values before RESP3.
func field(answer any, name string) any {
	switch m := answer.(type) {
	case map[any]any:
		return m[name]
	case []any:
		for i := 0; i+1 < len(m); i += 2 {
			if m[i] == name {
				return m[i+1]
			}
		}
	}
	return nil
}

func (t *Target) checkSingle(ctx context.Context) error {
	addr := t.cfg.seeds[0]
	found, err := mode(ctx, t.cfg.options(addr))
	switch {
	case err != nil && t.cfg.password != "" && isSentinel(ctx, t.cfg.sentinelOptions(addr)), found == "sentinel":
		return fmt.Errorf("%s is a Sentinel and holds no sessions: add -sentinel NAME%s", addr, t.watched(ctx, addr))
	case err != nil:
		return t.explain("Redis at "+addr, err)
	case found == "cluster":
		return fmt.Errorf("%s is a node of a Redis Cluster and would answer MOVED: add -cluster, or give several nodes, comma-separated", addr)
	}
	return nil
}

// isSentinel is asked where a server refuses a password: Sentinels have passwords of their own.
func isSentinel(ctx context.Context, o *redis.Options) bool {
	found, err := mode(ctx, o)
	return err == nil && found == "sentinel"
}

// checkCluster needs one node that answers: it knows the others.
func (t *Target) checkCluster(ctx context.Context) error {
	var firstErr error
	for _, addr := range t.cfg.seeds {
		found, err := mode(ctx, t.cfg.options(addr))
		switch {
		case err == nil && (found == "cluster" || found == ""):
			return nil
		case err == nil && found == "sentinel":
			return fmt.Errorf("%s is a Sentinel and not a node of a cluster: add -sentinel NAME%s", addr, t.watched(ctx, addr))
		case err == nil:
			return fmt.Errorf("%s is a standalone Redis and not a node of a cluster: give only this address, without -cluster", addr)
		case firstErr == nil:
			firstErr = t.explain("Redis at "+addr, err)
		}
	}
	return firstErr
}

// checkSentinels needs one Sentinel that answers and watches the set.
func (t *Target) checkSentinels(ctx context.Context) error {
	var firstErr error
	for _, addr := range t.cfg.seeds {
		found, err := mode(ctx, t.cfg.sentinelOptions(addr))
		if err != nil { // a Redis may refuse the password of a Sentinel, or the lack of one
			if other, err := mode(ctx, t.cfg.options(addr)); err == nil && other != "sentinel" {
				return noSentinel(addr)
			}
			if firstErr == nil {
				firstErr = t.explain("Sentinel at "+addr, err)
			}
			continue
		}
		if found != "sentinel" && found != "" {
			return noSentinel(addr)
		}
		c := redis.NewSentinelClient(t.cfg.sentinelOptions(addr))
		_, err = c.GetMasterAddrByName(ctx, t.cfg.Sentinel).Result()
		_ = c.Close()
		switch {
		case errors.Is(err, redis.Nil):
			return fmt.Errorf("the Sentinel at %s watches no set of that name: correct -sentinel%s", addr, t.watched(ctx, addr))
		case err != nil && strings.Contains(strings.ToLower(err.Error()), "unknown command"):
			return noSentinel(addr)
		case err != nil:
			return t.explain("Sentinel at "+addr, err)
		}
		return nil
	}
	return firstErr
}

func noSentinel(addr string) error {
	return fmt.Errorf("%s is a Redis and not a Sentinel: omit -sentinel, or give the Sentinels' port, often 26379", addr)
}

// watched lists the sets that a Sentinel watches, as the end of a sentence.
func (t *Target) watched(ctx context.Context, addr string) string {
	c := redis.NewSentinelClient(t.cfg.sentinelOptions(addr))
	defer func() { _ = c.Close() }() // its answer is all that was wanted
	masters, err := c.Masters(ctx).Result()
	if err != nil || len(masters) == 0 {
		return ""
	}
	var names []string
	for _, m := range masters {
		names = append(names, fmt.Sprint(field(m, "name")))
	}
	return " (it watches " + strings.Join(names, ", ") + ")"
}
