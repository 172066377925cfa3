package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func TestEvents(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil), 5*time.Millisecond))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if !(try.Reply{Response: resp}).SetsCookie() {
		t.Errorf("the stream begins without a cookie: %v", resp.Header)
	}
	events := bufio.NewReader(resp.Body)
	next := func() string {
		for {
			line, err := events.ReadString('\n')
			if err != nil {
				return err.Error()
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				return strings.TrimSpace(text)
			}
		}
	}
	if got := next(); got != "0 in the cart" {
		t.Errorf("got %q", got)
	}
	// Other tabs get the lock while the stream runs, and it tells what they have done.
	b.Want(b.Post("/cart/pen", nil), http.StatusOK, "")
	if got := next(); got != "1 in the cart" {
		t.Errorf("got %q", got)
	}
	b.Want(b.Post("/logout", nil), http.StatusOK, "")
	if got := next(); got != io.EOF.Error() {
		t.Errorf("after the logout: %q", got)
	}
}
