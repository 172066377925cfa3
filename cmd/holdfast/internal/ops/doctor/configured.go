package doctor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

const (
	mayNotAsk = "unknown: the Redis user lacks permission"
	allow     = "let the user run %s (ACL SETUSER … +%s), or ask the operator of the server"
)

// server needs Redis 6.2, whose scripts may call what ours call.
func server(_ *target.Target, nodes []node) Check {
	return worst("server", nodes, func(n *node) Check {
		version := n.info["redis_version"]
		if version == "" {
			return Check{Status: Warn, Found: mayNotAsk, Advice: fmt.Sprintf(allow, "INFO", "info")}
		}
		found := "Redis " + version
		if v := n.info["valkey_version"]; v != "" {
			found = "Valkey " + v + ", compatible with Redis " + version
		}
		if !atLeast(version, 6, 2) {
			return Check{Status: Fail, Found: found, Advice: "upgrade to Redis 6.2 or newer: older ones lack commands that Holdfast's scripts call"}
		}
		return Check{Status: OK, Found: found}
	})
}

func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, err := strconv.Atoi(parts[0])
	b, err2 := strconv.Atoi(parts[1])
	return err == nil && err2 == nil && (a > major || a == major && b >= minor)
}

// topology reports what it is, and whether another server takes over when a primary fails.
func topology(t *target.Target, nodes []node) Check {
	return worst("topology", nodes, func(n *node) Check {
		replicas := n.number("connected_slaves")
		found := fmt.Sprintf("%s, a primary with %s", t.Kind, report.Count(int(replicas), "replica"))
		switch {
		case n.info["role"] == "":
			return Check{Status: Warn, Found: string(t.Kind) + "; replicas " + mayNotAsk, Advice: fmt.Sprintf(allow, "INFO", "info")}
		case n.info["role"] == "slave":
			return Check{Status: Fail, Found: string(t.Kind) + ", a replica", Advice: "give the primary, or its Sentinels with -sentinel: a replica takes no writes"}
		case t.Kind == target.Cluster && n.info["cluster_state"] != "ok" && n.others: // a failure that has a line
			return Check{
				Status: Warn, Found: "Cluster that refuses all sessions while slots are not served",
				Advice: "start the master, or serve the other slots meanwhile: CONFIG SET cluster-require-full-coverage no on each node",
			}
		case t.Kind == target.Cluster && n.info["cluster_state"] != "ok":
			return Check{
				Status: Fail, Found: "Cluster that does not serve all slots: cluster_state is " + n.info["cluster_state"],
				Advice: "see redis-cli --cluster check; sessions in slots without a server cannot be opened",
			}
		case t.Kind != target.Standalone && replicas == 0:
			return Check{Status: Warn, Found: found, Advice: "add a Redis replica: no other server would take over from this primary"}
		}
		return Check{Status: OK, Found: found}
	})
}

// eviction takes sessions, which all have an expiry, and locks with them.
func eviction(_ *target.Target, nodes []node) Check {
	return worst("eviction", nodes, func(n *node) Check {
		policy, limit := n.info["maxmemory_policy"], n.number("maxmemory")
		found := "maxmemory-policy " + policy
		evicted := n.number("evicted_keys")
		if evicted > 0 {
			found += fmt.Sprintf("; evicted_keys is %d: keys were deleted when memory was short", evicted)
		}
		switch {
		case policy == "":
			return Check{Status: Warn, Found: mayNotAsk, Advice: fmt.Sprintf(allow, "INFO", "info")}
		case policy == "noeviction" && evicted > 0:
			return Check{
				Status: Warn, Found: found,
				Advice: "see whether it grows: otherwise it was before the policy changed, and CONFIG RESETSTAT clears it",
			}
		case policy == "noeviction":
			return Check{Status: OK, Found: found}
		case limit == 0:
			return Check{
				Status: Warn, Found: found + ", without effect while there is no maxmemory",
				Advice: "CONFIG SET maxmemory-policy noeviction, before maxmemory is set: otherwise users would be logged out",
			}
		}
		return Check{
			Status: Fail, Found: found + ": sessions and locks that are in use are deleted when memory is short",
			Advice: "CONFIG SET maxmemory-policy noeviction and give sessions a separate Redis, apart from caches",
		}
	})
}

// memory compares use and limit.
func memory(_ *target.Target, nodes []node) Check {
	return worst("maxmemory", nodes, func(n *node) Check {
		used, limit, machine := n.number("used_memory"), n.number("maxmemory"), n.number("total_system_memory")
		switch {
		case used == 0:
			return Check{Status: Warn, Found: mayNotAsk, Advice: fmt.Sprintf(allow, "INFO", "info")}
		case limit == 0:
			return Check{
				Status: Warn, Found: fmt.Sprintf("no limit; %s of the machine's %s in use", report.Bytes(used), report.Bytes(machine)),
				Advice: "CONFIG SET maxmemory to what the machine can spare: without it the system kills Redis when memory is short",
			}
		}
		found := fmt.Sprintf("%s of %s in use (%d %%)", report.Bytes(used), report.Bytes(limit), 100*used/limit)
		switch {
		case used > limit/100*95:
			return Check{Status: Fail, Found: found, Advice: "raise maxmemory or shorten lifetimes now: at the limit every commit is refused"}
		case used > limit/100*75:
			return Check{Status: Warn, Found: found, Advice: "plan for more: at the limit every commit is refused"}
		}
		return Check{Status: OK, Found: found}
	})
}

// enoughBuffer holds some hundred thousand messages that a busy node has not read yet.
const enoughBuffer = 8 << 20

// buffers cut the feed of a node that reads too slowly.
func buffers(_ *target.Target, nodes []node) Check {
	return worst("buffers", nodes, func(n *node) Check {
		_, limits, ok := strings.Cut(n.buffers, "pubsub ")
		f := strings.Fields(limits)
		if !ok || len(f) < 3 {
			return Check{
				Status: Warn, Found: "client-output-buffer-limit " + mayNotAsk,
				Advice: fmt.Sprintf(allow, "CONFIG GET", "config|get"),
			}
		}
		hard, _ := strconv.ParseInt(f[0], 10, 64)
		soft, _ := strconv.ParseInt(f[1], 10, 64)
		found := fmt.Sprintf("pubsub %s at once, %s for %s s", limitOf(hard), limitOf(soft), f[2])
		if hard > 0 && hard < enoughBuffer || soft > 0 && soft < enoughBuffer/8 {
			return Check{
				Status: Warn, Found: found + ": a burst of messages disconnects nodes, which then drop all their local copies",
				Advice: `CONFIG SET client-output-buffer-limit "pubsub 33554432 8388608 60"`,
			}
		}
		return Check{Status: OK, Found: found}
	})
}

func limitOf(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return report.Bytes(n)
}

// persistence decides whether a restart logs all users out.
func persistence(_ *target.Target, nodes []node) Check {
	return worst("persistence", nodes, func(n *node) Check {
		aof, known := n.info["aof_enabled"]
		snapshots := n.save != nil && *n.save != ""
		switch {
		case !known:
			return Check{Status: Warn, Found: mayNotAsk, Advice: fmt.Sprintf(allow, "INFO", "info")}
		case n.info["rdb_last_bgsave_status"] == "err" || aof == "1" && n.info["aof_last_write_status"] == "err":
			return Check{
				Status: Fail, Found: "the last attempt to write to disk failed",
				Advice: "see the server's log and the disk: until this is fixed, Redis may refuse every commit (MISCONF)",
			}
		case aof == "1":
			return Check{Status: OK, Found: "append-only file"}
		case snapshots:
			return Check{
				Status: Warn, Found: "snapshots only: a crash loses all changes since the last one",
				Advice: "CONFIG SET appendonly yes, if users must not lose minutes of their sessions",
			}
		case n.save == nil:
			return Check{Status: Warn, Found: "no append-only file; snapshots unknown", Advice: fmt.Sprintf(allow, "CONFIG GET", "config|get")}
		}
		return Check{
			Status: Warn, Found: "none: a restart of this server logs all users out",
			Advice: "CONFIG SET appendonly yes, unless that is acceptable",
		}
	})
}
