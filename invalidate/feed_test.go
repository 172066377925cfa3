package invalidate_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/invalidate"
)

func TestFreshnessAdvances(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		if age := s.age(); age != 0 { // no time passes on this network
			t.Fatalf("first proof is %v old", age)
		}
		first := s.feed.FreshAsOf()
		for range 20 {
			time.Sleep(interval / 2)
			if age := s.age(); age < 0 || age > interval {
				t.Fatalf("proof is %v old", age)
			}
		}
		if d := s.feed.FreshAsOf().Sub(first); d < 9*interval {
			t.Fatalf("advanced by %v only", d)
		}
		st := s.feed.Stats()
		if !st.Connected || st.Subscriptions != 1 || st.Losses != 0 || st.ProbesReturned < 10 || st.ProbesReturned > st.ProbesSent {
			t.Errorf("Stats() = %+v", st)
		}
		s.expect(t, "")
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		foreign := invalidate.EncodeProbe("ANOTHERLIFE", 1, 0)
		for _, m := range []struct{ channel, payload, want string }{
			{node, invalidate.EncodeInvalidation("abc", 7), "invalidate:abc"},
			{node, invalidate.EncodeInvalidation("abc", 7), "invalidate:abc"}, // repeated
			{node, invalidate.EncodeInvalidation("abc", 6), "invalidate:abc"}, // late
			{broadcast, invalidate.EncodeInvalidation("def", 1), "invalidate:def"},
			{node, invalidate.EncodeGrant("node.token"), "grant:node.token"},
			{node, "~of a later release", ""},
			{node, "", ""},
			{node, "g two words", ""},
			{node, "iabc 1e+15", "forget"}, // something changed, and it is not known what
			{node, foreign, ""},
			{node, foreign, ""},
		} {
			s.network.server.Publish(m.channel, m.payload)
			synctest.Wait()
			if got := s.take(); got != m.want {
				t.Errorf("%q on %s: callbacks %q, want %q", m.payload, m.channel, got, m.want)
			}
		}
		st := s.feed.Stats()
		if st.Invalidations != 4 || st.Grants != 1 || st.Unknown != 1 || st.Malformed != 3 || st.Losses != 0 {
			t.Errorf("Stats() = %+v", st)
		}
		if st.Messages != 11+st.ProbesReturned {
			t.Errorf("foreign probes counted: %+v", st)
		}
	})
}

func TestKilledConnection(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		time.Sleep(interval / 5)
		s.network.down.Store(true)
		s.network.killSubscriptions()
		s.expect(t, "forget")
		if age := s.age(); age != -1 {
			t.Fatalf("proof of %v ago stands after the loss", age)
		}
		if s.feed.Stats().Connected {
			t.Error("still connected")
		}
		time.Sleep(10 * time.Second)
		s.expect(t, "")

		s.network.down.Store(false)
		s.readyWithin(t, 2*time.Second) // the longest pause, and a dial that was under way
		s.expect(t, "forget recover")
		if st := s.feed.Stats(); st.Losses != 1 || st.Subscriptions != 2 {
			t.Errorf("Stats() = %+v", st)
		}
	})
}

// A connection that breaks while the server is well is back within the
// shortest pause, and is proven at once rather than an interval later.
func TestRecoversQuickly(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		for range 5 {
			time.Sleep(interval / 5)
			s.network.killSubscriptions()
			synctest.Wait()
			s.readyWithin(t, 60*time.Millisecond)
			s.expect(t, "forget forget recover")
		}
		if n := s.network.subscriptions(); n != 6 {
			t.Errorf("%d connections for 6 lives: the client reconnects behind our back", n)
		}
	})
}

func TestHalfOpenLink(t *testing.T) {
	t.Parallel()
	for name, mute := range map[string]func(n *network, on bool){
		"both ways":         func(n *network, on bool) { n.mute.Store(on) },
		"subscription only": func(n *network, on bool) { n.muteSub.Store(on) },
		"probes only":       func(n *network, on bool) { n.dropProbe.Store(on) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *stand) {
				mute(s.network, true)
				start := time.Now()
				for s.age() >= 0 {
					time.Sleep(interval / 10)
				}
				synctest.Wait()
				if d := time.Since(start); d > timeout+interval/10 {
					t.Fatalf("noticed after %v", d)
				}
				events := s.take()
				if !strings.HasPrefix(events, "forget") {
					t.Fatalf("callbacks %q", events)
				}
				time.Sleep(5 * time.Second)
				if age := s.age(); age != -1 {
					t.Fatalf("proof of %v ago on a dead link", age)
				}

				mute(s.network, false)
				s.readyWithin(t, 15*time.Second) // the client's own timeouts are in it
				// Where only the probes were lost, the subscription they prove
				// in the end may be older than the repair, and miss one.
				events = strings.TrimSuffix(strings.TrimSpace(events+" "+s.take()), " forget")
				if !strings.HasSuffix(events, "forget recover") {
					t.Fatalf("callbacks %q", events)
				}
			})
		})
	}
}

// Messages prove nothing: with all probes gone astray the feed is lost,
// however busy it is.
func TestTrafficIsNoProof(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		s.network.dropProbe.Store(true)
		for range 40 {
			time.Sleep(interval / 10)
			s.network.server.Publish(node, invalidate.EncodeInvalidation("abc", 1))
		}
		synctest.Wait()
		if s.age() != -1 || s.feed.Stats().Losses != 1 {
			t.Fatalf("age %v, %+v", s.age(), s.feed.Stats())
		}
		if got := s.take(); !strings.Contains(got, "invalidate:abc forget forget recover invalidate:abc") {
			t.Fatalf("callbacks %q", got)
		}
	})
}

// A link inside a cluster can lose messages while the subscriber's own connection stays healthy. If a probe was among
// them, the next one tells.
func TestLostProbeIsALoss(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		s.network.dropProbe.Store(true)
		time.Sleep(interval)
		s.expect(t, "")
		if age := s.age(); age != interval {
			t.Fatalf("proof is %v old after a lost probe", age)
		}
		s.network.dropProbe.Store(false)
		time.Sleep(interval)
		s.expect(t, "forget")
		if age := s.age(); age != 0 || s.feed.Stats().Losses != 0 {
			t.Fatalf("proof is %v old once a probe came back, %+v", age, s.feed.Stats())
		}
		time.Sleep(interval)
		s.expect(t, "")
	})
}

// When the client replaces the connection on its own, messages were lost and
// no error tells of it; a confirmation out of turn is all there is.
func TestReplacedConnection(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *stand) {
		again := fmt.Sprintf(">3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n", len(node), node)
		s.network.insert.Store(&again)
		s.network.server.Publish(node, invalidate.EncodeInvalidation("abc", 1))
		s.expect(t, "forget") // and the message behind it is not waited for
		s.readyWithin(t, 60*time.Millisecond)
		s.expect(t, "forget recover")
	})
}

// In a cluster a round counts only once it has come back through every
// master.
func TestClusterNeedsEveryMaster(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.VirtualTime)
	synctest.Test(t, func(t *testing.T) {
		server := miniredis.NewMiniRedis()
		defer server.Close()
		// Two addresses of one server: what reaches either reaches the feed.
		one, two := &network{server: server}, &network{server: server}
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{"10.0.0.1:1", "10.0.0.2:2"},
			ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				return []redis.ClusterSlot{
					{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: "10.0.0.1:1"}}},
					{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: "10.0.0.2:2"}}},
				}, nil
			},
			Dialer: func(ctx context.Context, netw, addr string) (net.Conn, error) {
				if addr == "10.0.0.1:1" {
					return one.dial(ctx, netw, addr)
				}
				return two.dial(ctx, netw, addr)
			},
		})
		defer func() { _ = client.Close() }()
		s := &stand{}
		defer s.start(t, client, invalidate.Config{Node: node})()
		s.readyWithin(t, time.Second)
		time.Sleep(3 * interval)
		synctest.Wait()
		if st := s.feed.Stats(); st.ProbesSent < 6 || st.ProbesSent%2 != 0 || st.Losses != 0 {
			t.Fatalf("Stats() = %+v", st)
		}

		for name, broken := range map[string]*network{"one": one, "two": two} {
			broken.dropProbe.Store(true)
			time.Sleep(2 * timeout)
			if age := s.age(); age != -1 {
				t.Fatalf("proof of %v ago without master %s", age, name)
			}
			broken.dropProbe.Store(false)
			s.readyWithin(t, 2*timeout)
		}
	})
}
