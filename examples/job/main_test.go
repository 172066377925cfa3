package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// In a bubble the minutes of a job pass in no time.
func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worker{m: managertest.New(t, nil), pause: time.Minute}
		defer w.wait()
		visit := try.InMemory(t, w.routes(t.Context()))
		if r := visit(http.MethodPost, "/import", nil); r.StatusCode != http.StatusAccepted || !r.SetsCookie() {
			t.Fatalf("got %d %v", r.StatusCode, r.Header)
		}
		for minute, want := range []string{"0 %", "10 %", "20 %", "30 %"} {
			if got := strings.TrimSpace(visit(http.MethodGet, "/progress", nil).Body); got != want {
				t.Errorf("after %d min: %s, want %s", minute, got, want)
			}
			time.Sleep(time.Minute)
			time.Sleep(time.Second)
			synctest.Wait()
		}
	})
}

// A job ends with the session that it works for.
func TestLogoutEndsTheJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &worker{m: managertest.New(t, nil), pause: time.Minute}
		visit := try.InMemory(t, w.routes(t.Context()))
		visit(http.MethodPost, "/import", nil)
		visit(http.MethodPost, "/logout", nil)
		start := time.Now()
		w.wait()
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("the job went on for %v", took)
		}
	})
}

// So it does with the program.
func TestShutdown(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	w := &worker{m: managertest.New(t, nil), pause: time.Minute}
	b := try.Serve(t, w.routes(ctx))
	b.Want(b.Post("/import", nil), http.StatusAccepted, "")
	stop()
	w.wait()
}
