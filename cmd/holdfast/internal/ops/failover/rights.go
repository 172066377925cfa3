package failover

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
)

// lacks is the refusal of a user who may not do what is needed.
func lacks(what, rule string) error {
	return fmt.Errorf("the Redis user lacks the permission to %s, so nothing was changed: ACL SETUSER … %s", what, rule)
}

// permitted refuses a user who lacks a right that is needed later. It sends the commands with an argument that none of them
// takes: a server looks at the user's rights first, so the answer shows whether the user has them, and nothing is changed.
func (r *run) permitted(ctx context.Context) error {
	const invalid = "none"
	if redis.IsPermissionError(r.primary.Do(ctx, "CLIENT", "PAUSE", invalid, "WRITE").Err()) {
		return lacks("pause writes", "+client|pause +client|unpause")
	}
	if r.t.Kind == target.Sentinel {
		if redis.IsPermissionError(r.primary.Do(ctx, "REPLICAOF", invalid, invalid).Err()) {
			return lacks("make the old primary a replica", "+replicaof")
		}
		return nil
	}
	heir := r.t.Node(r.replicas[0].addr)
	defer heir.Close()
	if redis.IsPermissionError(heir.Do(ctx, "CLUSTER", "FAILOVER", invalid).Err()) {
		return lacks("promote "+r.replicas[0].addr, "+cluster|failover")
	}
	return nil
}

// current refuses to go on with a plan that has become old: the operator may have thought about the question for long. It
// ends a pause that another client has begun, which would outlast ours, and so learns whether the user may end one.
func (r *run) current(ctx context.Context) error {
	state, err := replication(ctx, r.primary)
	if err != nil {
		return r.t.ExplainAt(r.addr, err)
	}
	addr := r.addr
	if r.t.Kind == target.Sentinel {
		if addr, err = r.t.SentinelPrimary(ctx); err != nil {
			return r.t.Explain(err)
		}
	}
	if state["role"] != "master" || addr != r.addr {
		return fmt.Errorf("%s is not the primary any more, so nothing was changed: run the command again", r.addr)
	}
	err = r.primary.Do(ctx, "CLIENT", "UNPAUSE").Err()
	if redis.IsPermissionError(err) {
		return lacks("resume writes", "+client|unpause")
	}
	return r.t.ExplainAt(r.addr, err)
}
