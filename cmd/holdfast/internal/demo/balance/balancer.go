// Package balance is the demo's load balancer: a reverse proxy that spreads requests round robin over replicas and
// steps over one that is gone.
package balance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// downFor is how long a replica that refused a connection is passed over. It is still tried when no other one is
// there.
const downFor = 250 * time.Millisecond

// ErrNoReplica means that no replica took the request: it was not served by any.
var ErrNoReplica = errors.New("no replica is reachable")

// Balancer serves HTTP by passing requests on. It is safe for concurrent use.
type Balancer struct {
	proxy   *httputil.ReverseProxy
	targets []*target

	sticky atomic.Bool // see SetSticky

	mu   sync.Mutex // guards what follows, and the targets' state
	next int
}

type target struct {
	transport *http.Transport // its own, so that its connections can be closed alone

	// Guarded by the balancer's mutex.
	addr      string
	draining  bool
	suspended bool
	downUntil time.Time
	inFlight  int
	idle      chan struct{} // closed when a drained target has no request left; nil unless draining
}

// New returns a balancer over the given host:port addresses.
func New(addrs ...string) *Balancer {
	b := &Balancer{}
	for _, a := range addrs {
		b.targets = append(b.targets, &target{addr: a, transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
			MaxIdleConnsPerHost: 256,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		}})
	}
	b.proxy = &httputil.ReverseProxy{
		Transport: roundTripper{b},
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetXForwarded()
			pr.Out.URL.Scheme = "http"
			pr.Out.URL.Host = pr.In.Host // the round trip puts the replica here
			pr.Out.Host = pr.In.Host
		},
		ErrorHandler: answerError,
	}
	return b
}

// SetSticky has the requests of one session go to one replica while that is there, or to all of them in turn, as at first.
func (b *Balancer) SetSticky(on bool) { b.sticky.Store(on) }

// Sticky reports which it is.
func (b *Balancer) Sticky() bool { return b.sticky.Load() }

// home is the target of the request's session, or -1 if it goes to the next one.
func (b *Balancer) home(r *http.Request) int {
	if !b.sticky.Load() {
		return -1
	}
	for _, c := range r.Cookies() {
		if id, _, ok := strings.Cut(c.Value, "."); ok && id != "" {
			return int(id[0]) % len(b.targets)
		}
	}
	return -1
}

// ServeHTTP passes the request to the next replica.
func (b *Balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.proxy.ServeHTTP(w, r) }

// Replace puts a replica that was restarted at addr into place i.
func (b *Balancer) Replace(i int, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.targets[i]
	t.addr, t.draining, t.suspended, t.downUntil, t.idle = addr, false, false, time.Time{}, nil
}

// Suspend sends nothing more to replica i, as a balancer does whose health check gets no answer. Requests under way stay
// where they are.
func (b *Balancer) Suspend(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets[i].suspended = true
}

// Resume ends Suspend.
func (b *Balancer) Resume(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets[i].suspended = false
}

// Drain sends nothing more to replica i and returns when its last request has been answered, or with the context's
// cause.
func (b *Balancer) Drain(ctx context.Context, i int) error {
	b.mu.Lock()
	t := b.targets[i]
	if !t.draining {
		t.draining = true
		t.idle = make(chan struct{})
		if t.inFlight == 0 {
			close(t.idle)
		}
	}
	idle := t.idle
	b.mu.Unlock()

	select {
	case <-idle:
		// Also those that were dialled and never used: a server that shuts down gives such a connection five seconds
		// to say something.
		t.transport.CloseIdleConnections()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close drops idle connections.
func (b *Balancer) Close() {
	for _, t := range b.targets {
		t.transport.CloseIdleConnections()
	}
}

// take chooses the home of the request, or the next replica, that is not in tried. One that is down is chosen only when all others are tried, down,
// draining or suspended.
func (b *Balancer) take(home int, tried map[*target]bool) (*target, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	first := b.next
	if home >= 0 {
		first = home
	}
	var down *target
	for k := range b.targets {
		t := b.targets[(first+k)%len(b.targets)]
		switch {
		case t.draining || t.suspended || tried[t]:
		case now.Before(t.downUntil):
			if down == nil {
				down = t
			}
		default:
			b.next = (first + k + 1) % len(b.targets)
			t.inFlight++
			return t, t.addr
		}
	}
	if down == nil {
		return nil, ""
	}
	down.inFlight++
	return down, down.addr
}

func (b *Balancer) put(t *target, refused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused {
		t.downUntil = time.Now().Add(downFor)
	}
	t.inFlight--
	if t.inFlight == 0 && t.draining && t.idle != nil {
		close(t.idle)
	}
}

type roundTripper struct{ *Balancer }

// RoundTrip asks replicas in turn until one answers. It asks another only when that is safe: no replica was reached, so
// nothing happened; or the request is one that changes nothing.
func (b roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	tried := make(map[*target]bool)
	last := ErrNoReplica
	home := b.home(r)
	for {
		t, addr := b.take(home, tried)
		if t == nil {
			return nil, last
		}
		tried[t] = true
		attempt := r.Clone(r.Context())
		attempt.URL.Host = addr
		if r.Body != nil {
			// A failed dial closes the body before a byte of it was read. The reverse proxy closes it in the end.
			attempt.Body = io.NopCloser(r.Body)
		}
		resp, err := t.transport.RoundTrip(attempt)
		refused := isDial(err)
		b.put(t, refused)
		switch {
		case err == nil:
			return resp, nil
		case r.Context().Err() != nil:
			return nil, err
		case refused:
			// No replica was reached: still ErrNoReplica, unless another did.
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			last = err
		default:
			return nil, err
		}
	}
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// answerError keeps two cases apart for the client: 503 when the request reached no replica, 502 when it may have been
// served and the answer was lost.
func answerError(w http.ResponseWriter, _ *http.Request, err error) {
	if errors.Is(err, ErrNoReplica) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "No replica is reachable.", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "The replica went away during the request.", http.StatusBadGateway)
}
