package manager_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// The lock of a session is removed with the session. A request that loses its lock in this way gets the error that says how
// the session ended, and not ErrLockLost. A logout succeeds.
func TestWhyASessionHasEndedWithItsLock(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		var got error
		m, other := v.manager(func(cfg *manager.Config) {
			cfg.LockTTL = 30 * time.Second // it is renewed before MaxHold is over, also if it was not retained
			cfg.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
				got = err
				manager.DefaultErrorHandler(w, r, err)
			}
		}), v.manager()
		for what, c := range map[string]struct {
			change func(*manager.Session)
			status int
			want   error
		}{
			"writes":   {add, http.StatusConflict, manager.ErrRevoked},
			"logs out": {(*manager.Session).Destroy, http.StatusOK, nil},
		} {
			got = nil
			_, token := visit(m, m.Handler, "", add)
			res, _ := visitRequest(m, m.Handler, token, func(r *http.Request, s *manager.Session) {
				_, _ = other.Revoke(r.Context(), s.ID())
				<-r.Context().Done() // the renewal of the lock has failed
				if cause := context.Cause(r.Context()); !errors.Is(cause, manager.ErrLockLost) {
					t.Errorf("%s: the request's context ended with %v", what, cause)
				}
				c.change(s)
			})
			if res.StatusCode != c.status || !errors.Is(got, c.want) {
				t.Errorf("%s: status %d, %v", what, res.StatusCode, got)
			}
		}
	})
}

// The error of a commit says how the session has ended.
func TestWhyASessionHasEnded(t *testing.T) {
	for what, c := range map[string]struct {
		end  func(m *manager.Manager, s *manager.Session, token string)
		want error
	}{
		"revoked": {func(m *manager.Manager, s *manager.Session, _ string) { _, _ = m.Revoke(context.Background(), s.ID()) }, manager.ErrRevoked},
		"destroyed": {func(m *manager.Manager, _ *manager.Session, token string) {
			visit(m, m.Optimistic, token, func(s *manager.Session) { s.Destroy() })
		}, manager.ErrDestroyed},
		"expired": {func(*manager.Manager, *manager.Session, string) { time.Sleep(2 * time.Hour) }, manager.ErrExpired},
	} {
		bubbleNamed(t, what, func(t *testing.T, v *virtual) {
			var got error
			m := v.manager(func(cfg *manager.Config) {
				cfg.Lifetime, cfg.MaxHold = time.Hour, -1
				cfg.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
					got = err
					manager.DefaultErrorHandler(w, r, err)
				}
			})
			_, token := visit(m, m.Handler, "", add)
			res, _ := visit(m, m.Handler, token, func(s *manager.Session) { c.end(m, s, token); add(s) })
			if res.StatusCode != http.StatusConflict || !errors.Is(got, c.want) || !errors.Is(got, manager.ErrRemoved) {
				t.Errorf("status %d, %v", res.StatusCode, got)
			}
			if !strings.Contains(got.Error(), what) {
				t.Errorf("the error %q does not say %q", got, what)
			}
		})
	}
}
