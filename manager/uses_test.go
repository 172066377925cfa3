package manager_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// piped counts the scripts that a client sends in pipelines for a record first: the touches. Those for a lock first renew
// or release locks.
type piped struct{ n atomic.Int64 }

func (p *piped) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (p *piped) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *piped) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if args := cmd.Args(); cmd.Name() == "evalsha" && strings.HasSuffix(fmt.Sprint(args[3]), "}") {
				p.n.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// counted is a Manager in a bubble whose touches are counted.
func counted(t *testing.T, v *virtual, idle time.Duration) (*manager.Manager, *piped) {
	t.Helper()
	client, touches := v.srv.NewClient(), new(piped)
	client.AddHook(touches)
	m, err := manager.New(client, configured("", func(c *manager.Config) { c.IdleTimeout = idle }))
	if err != nil {
		t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	time.Sleep(time.Second) // the feed is live
	return m, touches
}

// A write begins the idle timeout again by itself, so nothing is left to report.
func TestWritesReportNoUse(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, touches := counted(t, v, 10*time.Second)
		_, token := visit(m, m.Handler, "", add)
		for range 50 {
			time.Sleep(3 * time.Second)
			visit(m, m.Handler, token, add)
		}
		time.Sleep(9 * time.Second)
		if got := found(m, token); got != 51 {
			t.Fatalf("count is %d, want 51", got)
		}
		if n := touches.n.Load(); n != 0 {
			t.Errorf("%d touches for 51 writes, want none", n)
		}
	})
}

// Nor do reads of a local copy that a write follows before their time has come.
func TestWritesReportReadsBefore(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, touches := counted(t, v, time.Minute)
		_, token := visit(m, m.Handler, "", add)
		for range 20 {
			for range 5 {
				time.Sleep(time.Second)
				found(m, token)
			}
			visit(m, m.Handler, token, add)
		}
		time.Sleep(50 * time.Second)
		if n := touches.n.Load(); n != 0 {
			t.Errorf("%d touches, want none", n)
		}
	})
}

// A request that writes nothing keeps the session alive, in every mode.
func TestReadsReportTheirUse(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, touches := counted(t, v, 10*time.Second)
		_, token := visit(m, m.Handler, "", add)
		for i := range 20 {
			time.Sleep(2 * time.Second)
			visit(m, []func(http.Handler) http.Handler{m.Handler, m.ReadOnly, m.Optimistic, m.ReadOnly}[i%4], token, nothing)
		}
		time.Sleep(9 * time.Second)
		if got := found(m, token); got != 1 {
			t.Fatal("the session is gone although it was read every 4 s")
		}
		if n := touches.n.Load(); n > 11 || n == 0 {
			t.Errorf("%d touches for 10 reads of a local copy, want 1 to 11", n)
		}
	})
}

// A client that knows the ID of a session but not its secret neither keeps it alive nor takes its copy from the owner.
func TestWrongSecretHasNoEffect(t *testing.T) {
	for name, mode := range map[string]func(*manager.Manager) func(http.Handler) http.Handler{
		"readonly":   func(m *manager.Manager) func(http.Handler) http.Handler { return m.ReadOnly },
		"exclusive":  func(m *manager.Manager) func(http.Handler) http.Handler { return m.Handler },
		"optimistic": func(m *manager.Manager) func(http.Handler) http.Handler { return m.Optimistic },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m, touches := counted(t, v, 10*time.Second)
				_, token := visit(m, m.Handler, "", add)
				_, stranger := visit(m, m.Handler, "", add)
				_, secret := cut(stranger)
				forged := idOf(token) + "." + secret
				visit(m, mode(m), forged, func(s *manager.Session) {
					if !s.IsNew() {
						t.Error("a wrong secret opens the session")
					}
				})
				found(m, token) // the copy is one that may be read without asking
				before := m.Stats().LocalHits
				if got := found(m, token); got != 1 || m.Stats().LocalHits != before+1 {
					t.Errorf("the owner's read has found %d, and was local: %v", got, m.Stats().LocalHits != before)
				}
				before = touches.n.Load()
				for range 12 {
					time.Sleep(time.Second)
					visit(m, mode(m), forged, nothing)
				}
				if got := found(m, token); got != 0 {
					t.Error("a wrong secret keeps the session alive")
				}
				if n := touches.n.Load() - before; n > 1 { // of the owner's read
					t.Errorf("%d touches for requests with a wrong secret", n)
				}
			})
		})
	}
}

// Idle timeouts that are too short for uses to be reported later are still kept.
func TestShortIdleTimeout(t *testing.T) {
	for _, idle := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1100 * time.Millisecond} {
		t.Run(idle.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, v *virtual) {
				m, _ := counted(t, v, idle)
				_, token := visit(m, m.Handler, "", add)
				for range 40 {
					time.Sleep(idle * 9 / 10)
					if got := found(m, token); got != 1 {
						t.Fatalf("gone although it was read every %v", idle*9/10)
					}
					time.Sleep(idle / 10)
					visit(m, m.Handler, token, nothing)
				}
				time.Sleep(idle + time.Millisecond)
				if got := found(m, token); got != 0 {
					t.Error("there after its idle timeout")
				}
			})
		})
	}
}

func cut(token string) (id, secret string) {
	id, secret, _ = strings.Cut(token, ".")
	return id, secret
}
