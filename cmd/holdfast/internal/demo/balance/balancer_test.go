package balance_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/balance"
)

// replica answers with its name and the request's body.
func replica(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, name+string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// front serves a balancer over the given replicas.
func front(t *testing.T, replicas ...*httptest.Server) (*balance.Balancer, *httptest.Server) {
	t.Helper()
	var addrs []string
	for _, r := range replicas {
		addrs = append(addrs, r.Listener.Addr().String())
	}
	b := balance.New(addrs...)
	t.Cleanup(b.Close)
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	return b, s
}

func ask(t *testing.T, s *httptest.Server, method, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRoundRobin(t *testing.T) {
	t.Parallel()
	_, s := front(t, replica(t, "a"), replica(t, "b"), replica(t, "c"))
	var got strings.Builder
	for range 6 {
		_, answer := ask(t, s, http.MethodGet, "")
		got.WriteString(answer)
	}
	if got.String() != "abcabc" {
		t.Errorf("replicas answered in the order %s, want abcabc", got.String())
	}
}

func TestDeadReplicaIsSteppedOverWithTheBodyIntact(t *testing.T) {
	t.Parallel()
	dead := replica(t, "dead")
	_, s := front(t, dead, replica(t, "b"))
	dead.Close()
	for range 4 {
		if status, answer := ask(t, s, http.MethodPost, " got it"); status != 200 || answer != "b got it" {
			t.Errorf("answer is %d %q, want 200 and the other replica's", status, answer)
		}
	}
}

func TestNoReplicaLeft(t *testing.T) {
	t.Parallel()
	dead := replica(t, "dead")
	b, s := front(t, dead)
	dead.Close()
	if status, _ := ask(t, s, http.MethodPost, "x"); status != http.StatusServiceUnavailable {
		t.Errorf("status is %d with no replica alive, want 503", status)
	}
	b.Replace(0, replica(t, "new").Listener.Addr().String())
	if status, answer := ask(t, s, http.MethodPost, "!"); status != 200 || answer != "new!" {
		t.Errorf("answer is %d %q after a replica came back, want 200 new!", status, answer)
	}
}

func TestLostAnswerIsRepeatedOnlyForReads(t *testing.T) {
	t.Parallel()
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(broken.Close)
	_, s := front(t, broken, replica(t, "b"))
	if status, answer := ask(t, s, http.MethodGet, ""); status != 200 || answer != "b" {
		t.Errorf("GET is answered %d %q, want 200 by the other replica", status, answer)
	}
	// The GET went to both, so it is the broken one's turn again.
	if status, _ := ask(t, s, http.MethodPost, "x"); status != http.StatusBadGateway {
		t.Errorf("POST is answered %d, want 502: it may have been served", status)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "slow")
	}))
	t.Cleanup(slow.Close)
	b, s := front(t, slow, replica(t, "b"))

	answered := make(chan string)
	go func() {
		_, answer := ask(t, s, http.MethodPost, "")
		answered <- answer
	}()
	<-entered

	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Drain(impatient, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain with a request under way returns %v, want the context's cause", err)
	}
	for range 3 {
		if _, answer := ask(t, s, http.MethodGet, ""); answer != "b" {
			t.Errorf("a draining replica answered a new request: %q", answer)
		}
	}
	close(leave)
	if err := b.Drain(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if answer := <-answered; answer != "slow" {
		t.Errorf("the request under way was answered %q", answer)
	}
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	b, s := front(t, replica(t, "a"), replica(t, "b"))
	b.Suspend(0)
	for range 3 {
		if _, answer := ask(t, s, http.MethodPost, ""); answer != "b" {
			t.Errorf("a suspended replica answered: %q", answer)
		}
	}
	b.Suspend(1)
	if status, _ := ask(t, s, http.MethodPost, ""); status != http.StatusServiceUnavailable {
		t.Errorf("status is %d with all suspended, want 503", status)
	}
	b.Resume(0)
	if _, answer := ask(t, s, http.MethodPost, ""); answer != "a" {
		t.Errorf("%q answered, want the one that was resumed", answer)
	}
}
