package manager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// policy sets what becomes of values that cannot be decoded.
func policy(p manager.DecodePolicy) func(*manager.Config) {
	return func(c *manager.Config) { c.Undecodable = p }
}

func TestUndecodableValue(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		asText := manager.Key[string]("count") // an older release stored something else there
		const secret = "s3cr3t-value"
		for _, c := range []struct {
			policy   manager.DecodePolicy
			status   int  // of a request that may write
			readOnly int  // of one that may not
			gone     bool // the value
			ended    bool // the session
		}{
			{manager.KeepValue, http.StatusOK, http.StatusOK, false, false},
			{manager.DropValue, http.StatusOK, http.StatusOK, true, false},
			{manager.DropSession, http.StatusOK, http.StatusOK, true, true},
			{manager.FailRequest, http.StatusInternalServerError, http.StatusInternalServerError, false, false},
		} {
			for _, mode := range []string{"exclusive", "lazy", "optimistic", "readonly"} {
				log := &logged{}
				var told []error
				m := on(t, b, policy(c.policy), func(cfg *manager.Config) {
					cfg.Logger = log.logger()
					cfg.Hooks.Undecodable = func(_ context.Context, _ string, err error) { told = append(told, err) }
				})
				other := on(t, b)
				token := do(other, "", func(s *manager.Session) { asText.Set(s, secret); name.Set(s, "kept") })
				mw := map[string]func(http.Handler) http.Handler{"exclusive": m.Handler, "lazy": m.Lazy, "optimistic": m.Optimistic, "readonly": m.ReadOnly}[mode]
				r, after := visit(m, mw, token, func(s *manager.Session) {
					v, ok, err := count.Lookup(s)
					if v != 0 || !ok || !errors.Is(err, manager.ErrDecode) {
						t.Errorf("policy %d, %s: %v, %v, %v", c.policy, mode, v, ok, err)
					}
					if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "as int") {
						t.Errorf("the error's text: %v", err)
					}
				})
				status, gone, ended := c.status, c.gone, c.ended
				if mode == "readonly" {
					status, gone, ended = c.readOnly, false, false
				}
				if r.StatusCode != status || (after == "") != ended {
					t.Errorf("policy %d, %s: status %d, token %q", c.policy, mode, r.StatusCode, after)
				}
				unlocked(t, b.Client(t), b.Prefix)
				do(other, token, func(s *manager.Session) {
					if s.IsNew() != ended || s.Has("count") == gone || !ended && name.Get(s) != "kept" {
						t.Errorf("policy %d, %s: afterwards keys %q, new %v", c.policy, mode, s.Keys(), s.IsNew())
					}
				})
				if m.Stats().Undecodable != 1 || len(told) != 1 || !errors.Is(told[0], manager.ErrDecode) {
					t.Errorf("policy %d, %s: counted %d, told %v", c.policy, mode, m.Stats().Undecodable, told)
				}
				if text := log.String(); !strings.Contains(text, "cannot be decoded") || strings.Contains(text, secret) || strings.Contains(text, `"count"`) {
					t.Errorf("policy %d, %s: logged %s", c.policy, mode, text)
				}
			}
		}
	})
}

// Codecs quote what they cannot read: that goes to the caller, and into no log.
func TestErrorsDoNotQuoteValues(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		log := &logged{}
		m := on(t, b, policy(manager.FailRequest), func(c *manager.Config) { c.Logger = log.logger() })
		token := do(m, "", func(s *manager.Session) { flash.Set(s, "s3cr3t") })
		do(m, token, func(s *manager.Session) {
			_, _, err := manager.Key[time.Time]("flash").Lookup(s)
			if parse := (*time.ParseError)(nil); !errors.As(err, &parse) || !strings.Contains(parse.Error(), "s3cr3t") {
				t.Errorf("what the codec says is lost: %v", err)
			}
		})
		do(m, token, func(s *manager.Session) {
			manager.Key[quoting]("q").Set(s, quoting{"s3cr3t"})
			if err := s.Err(); !errors.Is(err, manager.ErrEncode) || !errors.Is(err, errQuoting) {
				t.Errorf("a value that cannot be encoded: %v", err)
			}
		})
		if text := log.String(); strings.Contains(text, "s3cr3t") || !strings.Contains(text, "time.Time") || !strings.Contains(text, "quoting") {
			t.Errorf("logged: %s", text)
		}
	})
}

var errQuoting = errors.New("cannot be marshalled")

type quoting struct{ text string }

func (q quoting) MarshalJSON() ([]byte, error) { return nil, fmt.Errorf("%w: %s", errQuoting, q.text) }

// Reading a session that is committed is no late change, whatever is found in it.
func TestUndecodableAfterTheCommit(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, p := range []manager.DecodePolicy{manager.KeepValue, manager.DropValue, manager.DropSession} {
			m := on(t, b, policy(p))
			token := do(m, "", func(s *manager.Session) { name.Set(s, "text") })
			do(m, token, func(s *manager.Session) {
				if err := s.Commit(t.Context()); err != nil {
					t.Error(err)
				}
				for range 2 {
					if _, ok, err := manager.Key[int]("name").Lookup(s); !ok || !errors.Is(err, manager.ErrDecode) {
						t.Errorf("policy %d: %v, %v", p, ok, err)
					}
				}
				if err := s.Err(); err != nil || s.Status() != manager.Unmodified {
					t.Errorf("policy %d: %v, session %v", p, err, s.Status())
				}
			})
			if got := m.Stats().Late; got != 0 {
				t.Errorf("policy %d: %d late changes", p, got)
			}
		}
	})
}

// A whole record that cannot be read gives the client a new session, and no error for ever.
func TestUndecodableRecord(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, spoil := range map[string]func(rdb redis.UniversalClient, key string) error{
			"a value without a stamp": func(rdb redis.UniversalClient, key string) error {
				return rdb.HSet(t.Context(), key, ".x", "zzz").Err()
			},
			"a deadline in words": func(rdb redis.UniversalClient, key string) error {
				return rdb.HSet(t.Context(), key, "c", "tomorrow").Err()
			},
			"no secret": func(rdb redis.UniversalClient, key string) error { return rdb.HDel(t.Context(), key, "h").Err() },
		} {
			m, other := on(t, b), on(t, b) // which has no copy
			token := do(m, "", add)
			if err := spoil(b.Client(t), b.Prefix+":{"+idOf(token)+"}"); err != nil {
				t.Fatal(err)
			}
			r, fresh := visit(other, other.Handler, token, add)
			if r.StatusCode != http.StatusOK || fresh == token {
				t.Errorf("%s: %d, token changed: %v", what, r.StatusCode, fresh != token)
			}
			if got := found(other, fresh); got != 1 {
				t.Errorf("%s: the new session has %d", what, got)
			}
			unlocked(t, b.Client(t), b.Prefix)
		}
	})
}

// A value that is set while another goroutine finds the old one undecodable stays, and so does its session.
func TestUndecodableValueIsReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		asText := manager.Key[string]("count")
		for _, p := range []manager.DecodePolicy{manager.DropValue, manager.DropSession} {
			var set func()
			m := on(t, b, policy(p), func(cfg *manager.Config) {
				cfg.Hooks.Undecodable = func(context.Context, string, error) { set() }
			})
			token := do(m, "", func(s *manager.Session) { asText.Set(s, "text") })
			do(m, token, func(s *manager.Session) {
				set = func() { count.Set(s, 7) }
				_ = count.Get(s)
			})
			do(m, token, func(s *manager.Session) {
				if got := count.Get(s); got != 7 || s.IsNew() {
					t.Errorf("policy %d: the value is %d, new %v", p, got, s.IsNew())
				}
			})
		}
	})
}
