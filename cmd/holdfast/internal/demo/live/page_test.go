package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/cluster"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/live"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// demo is a cluster with its page, and a browser on it.
type demo struct {
	t               *testing.T
	cluster         *cluster.Cluster
	close           func()
	cookie, session string
}

func start(t *testing.T, think time.Duration, change ...func(*cluster.Config)) *demo {
	t.Helper()
	cfg := cluster.Config{
		Listen: "127.0.0.1:0", Replicas: 2, Think: think, Count: true, Switch: true, Log: slog.New(slog.DiscardHandler),
		Front: func(c *cluster.Cluster, balancer http.Handler) http.Handler { return live.New(c, balancer, think) },
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, cluster: s, close: sync.OnceFunc(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(d.close)
	return d
}

// do makes a request. Its response is nil if the context has ended before.
func (d *demo) do(ctx context.Context, method, path string, header ...string) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, d.cluster.URL()+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/plain")
	req.Header.Set(shop.HeaderSession, d.session)
	req.Header.Set("Cookie", d.cookie)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			d.t.Error(err)
		}
		return nil, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Error(err)
	}
	for _, c := range resp.Cookies() {
		d.cookie = c.Name + "=" + c.Value
	}
	return resp, string(body)
}

// post makes a request that must be answered with the status.
func (d *demo) post(path string, want int, header ...string) {
	d.t.Helper()
	resp, body := d.do(d.t.Context(), "POST", path, header...)
	if resp.StatusCode != want {
		d.t.Fatalf("POST %s is answered %d, want %d: %s", path, resp.StatusCode, want, body)
	}
	if id := resp.Header.Get(shop.HeaderSession); id != "" {
		d.session = id
	}
}

// state is what the tests look at.
type state struct {
	Replicas []struct {
		State string
		Trips int
	}
	Cut, Unlocked, Sticky bool
	Trips                 int
	Session               *struct {
		Version, User, Holder string
		Kept                  bool
		Count                 int
		Cart                  map[string]int
	}
	Account struct{ Acknowledged, Refused, Unanswered, Cookies int }
	Events  []struct{ Replica, What, Outcome string }
}

func (d *demo) state() (s state) {
	d.t.Helper()
	_, body := d.do(d.t.Context(), "GET", "/live/state?session="+d.session)
	if _, secret, ok := strings.Cut(d.cookie, "."); ok && strings.Contains(body, secret) {
		d.t.Error("the state holds the secret")
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		d.t.Fatalf("%v in %s", err, body)
	}
	return s
}

func (d *demo) eventually(what string, ok func(state) bool) {
	d.t.Helper()
	wait.Until(d.t, what, func() bool { return ok(d.state()) })
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	d := start(t, 150*time.Millisecond)
	resp, page := d.do(t.Context(), "GET", "/")
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self';") {
		t.Errorf("the policy is %q", policy)
	}
	for _, want := range []string{"replica 2", "150 ms", "Storm lantern", "the embedded Redis"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, path := range []string{"/live/live.css", "/live/live.js", "/live/icon.svg"} {
		if !strings.Contains(page, `"`+path+`"`) {
			t.Errorf("the page does not use %s", path)
		}
		resp, body := d.do(t.Context(), "GET", path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s is answered %d", path, resp.StatusCode)
		}
		if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "://") {
			t.Errorf("%s names another place", path)
		}
	}
	if strings.Contains(page, "://") || strings.Contains(page, "style=") || strings.Contains(page, "<style") {
		t.Error("the page names another place or has styles that its policy forbids")
	}
	if resp, _ := d.do(t.Context(), "GET", "/live/page.html"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("the template is answered %d, want 404", resp.StatusCode)
	}
}

func TestStateShowsWhatHappened(t *testing.T) {
	t.Parallel()
	d := start(t, 0)
	if s := d.state(); s.Session != nil || len(s.Replicas) != 2 || s.Replicas[1].State != "alive" {
		t.Errorf("at first the state is %+v", s)
	}
	d.post("/cart/rope", http.StatusNoContent)
	d.post("/cart/rope", http.StatusNoContent)
	d.post("/cart/submarine", http.StatusNotFound)
	s := d.state()
	if s.Session == nil || s.Session.Count != 2 || s.Session.Cart["rope"] != 2 || s.Session.Version != "2" {
		t.Errorf("session is %+v", s.Session)
	}
	if s.Account.Acknowledged != 2 || s.Account.Refused != 1 || s.Account.Unanswered != 0 || s.Account.Cookies != 1 {
		t.Errorf("account is %+v, want two acknowledged, one refused, one cookie", s.Account)
	}
	d.eventually("all round trips are counted", func(s state) bool {
		return s.Trips >= 3 && s.Trips == s.Replicas[0].Trips+s.Replicas[1].Trips
	})
	if len(s.Events) != 3 || s.Events[1].Outcome != "written" || s.Events[1].What != "add" {
		t.Errorf("events are %+v", s.Events)
	}
}

func TestButtons(t *testing.T) {
	t.Parallel()
	d := start(t, 0)
	d.post("/live/replica/1/pause", http.StatusNoContent)
	d.post("/live/replica/1/pause", http.StatusConflict)
	d.post("/live/replica/2/kill", http.StatusNoContent)
	d.post("/live/redis/cut", http.StatusNoContent)
	d.post("/live/lock/off", http.StatusNoContent)
	s := d.state()
	if s.Replicas[0].State != "paused" || s.Replicas[1].State != "stopped" || !s.Cut || !s.Unlocked {
		t.Errorf("state is %+v", s)
	}
	d.post("/cart/rope", http.StatusServiceUnavailable) // no replica is left
	d.post("/live/replica/1/resume", http.StatusNoContent)
	d.post("/live/replica/2/start", http.StatusNoContent)
	d.post("/live/redis/heal", http.StatusNoContent)
	d.post("/live/lock/on", http.StatusNoContent)
	wait.Until(t, "it works again", func() bool { // connections that were cut may be tried first
		resp, _ := d.do(t.Context(), "POST", "/cart/rope")
		return resp.StatusCode == http.StatusNoContent
	})
	for _, path := range []string{"/live/replica/3/kill", "/live/replica/0/kill", "/live/replica/x/kill", "/live/replica/1/dance", "/live/redis/x", "/live/lock/x"} {
		d.post(path, http.StatusNotFound)
	}
	d.post("/live/redis/cut", http.StatusForbidden, "Sec-Fetch-Site", "cross-site")
	if d.state().Cut {
		t.Error("another site's page has cut Redis off")
	}
}

// TestRetainedLock has a replica keep the lock for the next click, and another one recall it.
func TestRetainedLock(t *testing.T) {
	t.Parallel()
	d := start(t, 0)
	d.post("/live/sticky/on", http.StatusNoContent)
	d.post("/cart/rope", http.StatusNoContent)
	d.eventually("the lock is kept", func(s state) bool {
		d.post("/cart/rope", http.StatusNoContent)
		return s.Sticky && s.Session.Kept
	})
	d.post("/live/sticky/off", http.StatusNoContent)
	for range 3 { // one lands elsewhere
		d.post("/cart/rope", http.StatusNoContent)
	}
	d.eventually("the lock is free", func(s state) bool { return s.Session.Holder == "" })
	d.post("/live/sticky/x", http.StatusNotFound)
}

// TestAddWithoutAnAnswer has a browser leave while its add is being served: the add may be found or not.
func TestAddWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool // the next add is served until the browser has left
	d := start(t, 0, func(cfg *cluster.Config) {
		cfg.Work = func(ctx context.Context, _ int) {
			if slow.Load() {
				<-ctx.Done()
			}
		}
	})
	d.post("/cart/rope", http.StatusNoContent)
	slow.Store(true)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left := make(chan struct{})
	impatient := *d
	go func() {
		defer close(left)
		impatient.do(ctx, "POST", "/cart/rope")
	}()
	d.eventually("it has the lock", func(s state) bool { return s.Session.Holder != "" })
	leave()
	<-left
	d.eventually("it is counted", func(s state) bool { return s.Account.Unanswered == 1 })
	d.eventually("the lock is free", func(s state) bool { return s.Session.Holder == "" })
	if s := d.state(); s.Account.Acknowledged != 1 || s.Session.Count < 1 || s.Session.Count > 2 {
		t.Errorf("state is %+v", s)
	}
}

func TestStreamEndsWithTheSite(t *testing.T) {
	t.Parallel()
	d := start(t, 0)
	d.post("/cart/rope", http.StatusNoContent)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.cluster.URL()+"/live/events?session="+d.session, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	counts := make(chan int, 100)
	ended := make(chan error)
	go func() {
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var s state
				if err := json.Unmarshal([]byte(data), &s); err != nil || s.Session == nil {
					t.Errorf("%v in %s", err, data)
					continue
				}
				select {
				case counts <- s.Session.Count:
				default:
				}
			}
		}
		ended <- lines.Err()
	}()
	if n := <-counts; n != 1 {
		t.Errorf("the stream begins with %d in the cart, want 1", n)
	}
	d.post("/cart/rope", http.StatusNoContent)
	for n := range counts {
		if n == 2 {
			break
		}
	}
	d.close()
	if err := <-ended; err != nil {
		t.Errorf("the stream ends with %v", err)
	}
}
