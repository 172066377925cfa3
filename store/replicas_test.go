package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

// A client may be set to read from Redis replicas, which lag: a session that was just bound would not be found there,
// and so not be revoked. Everything is read from masters all the same; here no replica would answer.
func TestNothingIsReadFromReplicas(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	cluster := redistest.StartPatientCluster(t)
	var masters []string // the client is to learn from no other who has what
	for _, node := range cluster.Nodes {
		role, err := node.Client(t).Do(t.Context(), "ROLE").Slice()
		if err != nil {
			t.Fatal(err)
		}
		if role[0] == "slave" {
			node.Pause()
		} else {
			masters = append(masters, node.Addr())
		}
	}
	ctx := t.Context()
	rdb := cluster.Client(t, func(o *redis.ClusterOptions) {
		o.Addrs, o.ReadOnly, o.MaxRedirects, o.MaxRetries, o.DialerRetries = masters, true, -1, -1, 1
		o.DialTimeout, o.ReadTimeout = time.Second, time.Second // what it learns in another way must not cost the whole Timeout
		o.ClusterStateReloadInterval = time.Hour
	})
	e := newEnv(t, rdb, "replicas")
	for i := range 12 { // on every master
		user := fmt.Sprint("user", i)
		c := creation("a", "1")
		c.User = &user
		if _, _, err := e.Enlist(ctx, user, c.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		e.commit(t, c)
		e.want(t, c.ID, "a", "1")
		if list, err := e.UserSessions(ctx, user); err != nil || len(list) != 1 {
			t.Errorf("UserSessions: %d, %v", len(list), err)
		}
		if n, err := e.Before(ctx, user, "another"); err != nil || n != 1 {
			t.Errorf("Before: %d, %v", n, err)
		}
	}
	n := 0
	if err := e.Scan(ctx, func(*store.Record) bool { n++; return true }); err != nil || n != 12 {
		t.Errorf("Scan: %d, %v", n, err)
	}
	for i := range 12 {
		if ended, err := e.RemoveUser(ctx, fmt.Sprint("user", i)); err != nil || len(ended) != 1 {
			t.Errorf("RemoveUser: %d, %v", len(ended), err)
		}
	}
}
