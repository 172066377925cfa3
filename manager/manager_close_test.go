package manager_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

func TestClosedInTheMiddleOfRequests(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m, err := manager.New(b.Client(t), configured(b.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		n := serve(t, m, shop)
		browser := newBrowser(t)
		browser.get(n, "/add")
		held, ended := make(chan struct{}), make(chan error, 1)
		n.handle = func(_ http.ResponseWriter, r *http.Request, s *manager.Session) {
			count.Set(s, 5)
			close(held)
			<-r.Context().Done()
			ended <- context.Cause(r.Context())
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if r := browser.get(n, "/"); r.StatusCode == http.StatusOK {
				t.Error("a request whose lock was taken away was acknowledged")
			}
		})
		<-held
		for range 3 {
			wg.Go(func() {
				if r := browser.get(n, "/add"); r.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("a waiter was answered %d", r.StatusCode)
				}
			})
		}
		wait.Until(t, "they wait", func() bool { return m.Stats().Lock.Waiting == 3 })
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Logf("Close: %v", err)
		}
		if err := <-ended; !errors.Is(err, manager.ErrClosed) {
			t.Errorf("the handler's context ended with %v", err)
		}
		wg.Wait()
		if left := locks(t, b.Client(t), b.Prefix); len(left) != 0 {
			t.Errorf("left after Close: %q", left)
		}
		if r := browser.get(n, "/add"); r.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("after Close: %d", r.StatusCode)
		}
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}
