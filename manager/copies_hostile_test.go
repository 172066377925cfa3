package manager_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/invalidate"
	"github.com/holdfast-go/holdfast/manager"
)

// hostileMessages are what no Holdfast publishes about a session, of which waiting is a lock token in the queue.
func hostileMessages(id, waiting string, size int) []string {
	return []string{
		"", "i", "g", "p", "~", "i ", "i" + id, "i" + id + " ", "i" + id + " -1", "i" + id + " 1e300", "i" + id + " 99999999999999999999",
		"i" + strings.Repeat("x", invalidate.MaxIDLen+1) + " 1", "i{*} 1", "i\x00 1", "p 1.0", "pX 1.99999", "pX 18446744073709551615.16383",
		"gnobody.knows", "g" + strings.Repeat("x", invalidate.MaxTokenLen), "g\xff\xfe", strings.Repeat("i", size), strings.Repeat("g", size),
		invalidate.EncodeInvalidation(id, 1<<60),                                    // forged: of a version that there is not
		invalidate.EncodeInvalidation("AAAAAAAAAAAAAAAAAAAAAA", 1),                  // of a session that there is not
		invalidate.EncodeGrant(waiting), invalidate.EncodeGrant(id + "." + waiting), // of a lock that is held
	}
}

// publishAll publishes texts on each of the channels. One at a time: Redis ends the connection of a subscriber for whom more
// than 32 MB wait.
func publishAll(t *testing.T, rdb redis.UniversalClient, nodes []*node, channels, texts []string) {
	t.Helper()
	heard := func() uint64 { return nodes[0].Stats().Feed.Messages + nodes[1].Stats().Feed.Messages }
	for _, channel := range channels {
		for _, text := range texts {
			before := heard()
			receivers, err := rdb.Publish(t.Context(), channel, text).Result()
			if err != nil {
				t.Fatal(err)
			}
			wait.Until(t, "it is heard", func() bool { return heard() >= before+uint64(receivers) })
		}
	}
}

// oneHoldsAndOneWaits has a tab send a request to each of two nodes, of which one holds the lock until free is called, which
// returns when both are served.
func oneHoldsAndOneWaits(t *testing.T, tab *browser, nodes []*node, rdb redis.UniversalClient, queue string) (free func()) {
	t.Helper()
	hold := make(chan struct{})
	var inside atomic.Int32
	handle := func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
		if inside.Add(1) > 1 {
			t.Error("two requests hold the lock of one session")
		}
		defer inside.Add(-1)
		<-hold
		shop(w, r, s)
	}
	nodes[0].handle, nodes[1].handle = handle, handle
	var wg sync.WaitGroup
	wg.Go(func() { tab.get(nodes[0], "/add") })
	wait.Until(t, "the lock is held", func() bool { return nodes[0].Stats().Lock.Held == 1 })
	wg.Go(func() { tab.get(nodes[1], "/add") })
	wait.Until(t, "another waits", func() bool { return rdb.LLen(t.Context(), queue).Val() == 1 })
	return func() {
		close(hold)
		wg.Wait()
	}
}

// A client that may publish to a node's channel can make it query Redis more often, and nothing else: no message opens, changes or
// ends a session, gives a request a lock, or keeps a node from hearing the next one.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		ctx := t.Context()
		// Nothing here may depend on how fast the machine is: neither the lock, nor who waits for it, nor the proof that the
		// feed is heard ends because large messages take their time.
		nodes := replicas(t, b, 2, func(c *manager.Config) {
			c.LockTTL, c.LockWait, c.MaxHold, c.MaxStaleness, c.MaxCopyAge = time.Minute, -1, -1, 4*time.Minute, 4*time.Minute
		})
		rdb := b.Client(t)
		tab, other := newBrowser(t), newBrowser(t)
		tab.get(nodes[0], "/add")
		other.get(nodes[0], "/add")
		id := idOf(tab.token(nodes[0]))
		space := keys.In(b.Prefix)
		var channels []string
		wait.Until(t, "both nodes listen", func() bool {
			channels = append(redistest.Channels(t, rdb, space.Node("*")), space.Nodes())
			return len(channels) == 3 && nodes[0].Stats().Feed.Subscriptions == 1 && nodes[1].Stats().Feed.Subscriptions == 1
		})

		free := oneHoldsAndOneWaits(t, tab, nodes, rdb, space.Of(id).Queue)
		waiting := rdb.LRange(ctx, space.Of(id).Queue, 0, 0).Val()[0]

		size := 8 << 20
		if !b.Real {
			size = 1 << 16
		}
		publishAll(t, rdb, nodes, channels, hostileMessages(id, waiting, size))
		if got := nodes[1].Stats().Lock.Waiting; got != 1 {
			t.Errorf("%d requests wait after a forged grant, want 1", got)
		}
		for _, path := range []string{"/opt/look", "/ro/look"} { // another session, meanwhile
			nodes[1].handle = shop
			if r := other.get(nodes[1], path); r.body != "1" {
				t.Errorf("another session: %d %q", r.StatusCode, r.body)
			}
		}
		free()
		nodes[0].handle = shop
		for _, n := range nodes {
			if r := tab.get(n, "/look"); r.body != "3" {
				t.Errorf("after all that: %d %q, want 3", r.StatusCode, r.body)
			}
			if st := n.Stats().Feed; st.Malformed == 0 || st.Losses != 0 {
				t.Errorf("the feed: %+v", st)
			}
		}
	})
}
