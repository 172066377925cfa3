package cluster_test

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// visitor is a browser that follows no redirects.
type visitor struct {
	t       *testing.T
	cluster *cluster.Cluster
	cookie  string
	session string
}

// locked starts a cluster that keeps sessions with the library.
func locked(t *testing.T, cfg cluster.Config) *visitor {
	t.Helper()
	cfg.Listen, cfg.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	s, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &visitor{t: t, cluster: s}
}

func (v *visitor) post(ctx context.Context, path string) (status int, header http.Header) {
	v.t.Helper()
	return v.ask(ctx, http.MethodPost, path)
}

// ask makes a request and keeps the cookie. It has status 0 if the context ends first.
func (v *visitor) ask(ctx context.Context, method, path string) (status int, header http.Header) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, v.cluster.URL()+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/plain")
	if v.cookie != "" {
		req.Header.Set("Cookie", v.cookie)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			v.t.Error(err)
		}
		return 0, nil
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		v.cookie = c.Name + "=" + c.Value
	}
	return resp.StatusCode, resp.Header
}

// add adds to the cart, which must succeed.
func (v *visitor) add() {
	v.t.Helper()
	status, header := v.post(v.t.Context(), "/cart/rope")
	if status != http.StatusNoContent {
		v.t.Fatalf("add is answered %d, want 204", status)
	}
	v.session = header.Get(shop.HeaderSession)
}

func (v *visitor) look() cluster.Session {
	v.t.Helper()
	s, _, err := v.cluster.Session(v.t.Context(), v.session)
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

func TestSessionIsWhatRedisHolds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		v := locked(t, cluster.Config{Replicas: 2, Redis: b.Addr(t), Count: true})
		v.add()
		v.add()
		s := v.look()
		if s.Version != "2" || s.Cart.Count() != 2 || s.Holder != nil || len(s.Queue) != 0 {
			t.Errorf("session is %+v, want version 2, two ropes and no lock", s)
		}
		if len(s.Copies) != 0 {
			t.Errorf("copies are at %+v, and no tab reads", s.Copies)
		}
		trips := 0
		for _, r := range v.cluster.Replicas() {
			trips += r.Trips
		}
		if trips < 3 || trips > 6 { // the first add only creates; releases may add some
			t.Errorf("%d round trips for two adds", trips)
		}
		if events, _ := v.cluster.Events(0, v.session); len(events) != 2 || events[1].Outcome != "written" || events[1].Replica != 1 {
			t.Errorf("events are %+v, want two adds", events)
		}
		_, header := v.ask(t.Context(), http.MethodGet, "/badge")
		s = v.look()
		if len(s.Copies) != 1 || "replica "+strconv.Itoa(s.Copies[0].Replica+1) != header.Get(shop.HeaderReplica) || s.Copies[0].Gone {
			t.Errorf("copies are at %+v, want one at %s, which read", s.Copies, header.Get(shop.HeaderReplica))
		}
	})
}

// lockTTL is long enough for a machine that stands still for seconds. Each test waits for its end once.
const lockTTL = 6 * time.Second

// slowAdd is an add that stops between reading and writing the cart, where it holds the lock.
type slowAdd struct {
	begun  atomic.Bool // the next add is the slow one
	holder chan int    // the replica at which it has stopped
	leave  chan struct{}
	status chan int
}

func newSlowAdd() *slowAdd {
	return &slowAdd{holder: make(chan int), leave: make(chan struct{}), status: make(chan int, 1)}
}

// work is the cluster's Config.Work.
func (a *slowAdd) work(ctx context.Context, replica int) {
	if !a.begun.CompareAndSwap(true, false) {
		return
	}
	a.holder <- replica
	select {
	case <-a.leave:
	case <-ctx.Done():
	}
}

// begin starts the add in the background, and returns when it has stopped at a replica.
func (a *slowAdd) begin(v visitor) (holder int) { // with the same cookie
	a.begun.Store(true)
	go func() {
		status, _ := v.post(v.t.Context(), "/cart/anchor")
		a.status <- status
	}()
	return <-a.holder
}

func TestPausedReplicaLosesItsLockAndItsWrite(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		slow := newSlowAdd()
		v := locked(t, cluster.Config{Replicas: 2, Redis: b.Addr(t), LockTTL: lockTTL, Work: slow.work})
		v.add()
		v.add()
		holder := slow.begin(*v)
		if err := v.cluster.PauseReplica(holder); err != nil {
			t.Fatal(err)
		}
		if s := v.cluster.Replicas()[holder].State; s != cluster.Paused {
			t.Errorf("state is %s", s)
		}
		close(slow.leave) // the write is on its way, and does not get out
		v.add()           // waits until the lock has expired
		if n := v.look().Cart.Count(); n != 3 {
			t.Errorf("%d in the cart, want 3", n)
		}
		if err := v.cluster.ResumeReplica(holder); err != nil {
			t.Fatal(err)
		}
		if status := <-slow.status; status != http.StatusConflict {
			t.Errorf("the late write is answered %d, want 409", status)
		}
		if n := v.look().Cart.Count(); n != 3 {
			t.Errorf("%d in the cart after the late write, want 3", n)
		}
		if v.cluster.PauseReplica(holder) != nil || v.cluster.PauseReplica(holder) == nil {
			t.Error("a replica is paused once, not twice")
		}
	})
}

// It begins as the test before, on a cluster whose lock the test waits for once.
func TestKilledReplicaLeavesItsLock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		slow := newSlowAdd()
		v := locked(t, cluster.Config{Replicas: 2, Redis: b.Addr(t), LockTTL: lockTTL, Work: slow.work})
		v.add()
		holder := slow.begin(*v)
		if err := v.cluster.StopReplica(t.Context(), holder, true); err != nil {
			t.Fatal(err)
		}
		if status := <-slow.status; status != http.StatusBadGateway {
			t.Errorf("the request is answered %d, want 502", status)
		}
		if h := v.look().Holder; h == nil || !h.Gone || h.Replica != holder {
			t.Errorf("the lock is held by %+v, want the one that is gone", h)
		}
		v.add()
		if n := v.look().Cart.Count(); n != 2 {
			t.Errorf("%d in the cart, want 2", n)
		}
		if s := v.cluster.Replicas()[holder].State; s != cluster.Stopped {
			t.Errorf("state is %s", s)
		}
		if err := v.cluster.StartReplica(t.Context(), holder); err != nil {
			t.Error(err)
		}
		if v.cluster.StartReplica(t.Context(), holder) == nil {
			t.Error("a replica that runs was started")
		}
	})
}

func TestRedisIsCutAndHealed(t *testing.T) {
	t.Parallel()
	v := locked(t, cluster.Config{Replicas: 2})
	v.add()
	v.cluster.CutRedis()
	if status, _ := v.post(t.Context(), "/cart/rope"); status != http.StatusServiceUnavailable {
		t.Errorf("add without Redis is answered %d, want 503", status)
	}
	wait.Until(t, "no replica claims to be fresh", func() bool {
		for _, r := range v.cluster.Replicas() {
			if r.Fresh >= 0 || r.Copies > 0 {
				return false
			}
		}
		return true
	})
	v.cluster.HealRedis()
	wait.Until(t, "it works again", func() bool {
		status, _ := v.post(t.Context(), "/cart/rope")
		return status == http.StatusNoContent
	})
	if n := v.look().Cart.Count(); n != 2 {
		t.Errorf("%d in the cart, want 2", n)
	}
}

func TestLockIsSwitchedOff(t *testing.T) {
	t.Parallel()
	v := locked(t, cluster.Config{Replicas: 1, Switch: true})
	v.add()
	withLock := *v
	v.cluster.SetUnlocked(true)
	v.cookie = ""
	v.add()
	if s := v.look(); s.Cart.Count() != 1 || s.Version != "" || s.ID == withLock.session {
		t.Errorf("without the lock the session is %+v, want another one, without a version", s)
	}
	if !strings.HasPrefix(v.cookie, "unlocked=") {
		t.Errorf("the cookie is %.10s…", v.cookie)
	}
	v.cluster.SetUnlocked(false)
	withLock.add()
	if n := withLock.look().Cart.Count(); n != 2 {
		t.Errorf("%d in the first cart, want 2", n)
	}
}
