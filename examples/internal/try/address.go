package try

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"
)

// FreeAddress returns a free loopback address. Its port is below those that systems take for outgoing connections, so that none
// of these takes it before the program listens.
func FreeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 6400+rand.IntN(1600)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
}

// Await visits a page until it answers with a status, and fails the test if that takes too long.
func (b *Browser) Await(path string, status int) {
	b.t.Helper()
	Eventually(b.t, func() bool { return b.answers(path, status) })
}

func (b *Browser) answers(path string, status int) bool {
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == status
}

// Eventually polls for what happens soon, and fails the test if it does not.
func Eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in a minute")
		}
	}
}
