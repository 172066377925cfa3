package manager_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/internal/testkit/wiretap"
	"github.com/holdfast-go/holdfast/manager"
)

// Sessions live and fail in every possible way, and everything that others than the client can see is collected: what
// Redis is sent, holds and publishes, what is logged, counted and told to hooks and error handlers, every error and every
// response but for the token's own place in it. No secret, signature, token, key or encrypted value is in any of it.
func TestNothingSecretLeaks(t *testing.T) {
	t.Parallel()
	for what, encrypt := range map[string]bool{"encrypted": true, "not encrypted": false} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := watch(t)
			tokenKey, valueKey := keys.Random(192), keys.Random(192) // 32 characters each
			value := keys.Random(192)
			change := func(c *manager.Config) {
				w.tell(c)
				c.TokenKeys = [][]byte{[]byte(tokenKey)}
				if encrypt {
					c.EncryptionKeys = [][]byte{[]byte(valueKey)}
				}
			}
			tokens := w.live(t, value, change)

			secrets := map[string]string{"token key": tokenKey, "encryption key": valueKey}
			if encrypt {
				secrets["value"] = value
			}
			for i, token := range tokens {
				parts := strings.Split(token, ".")
				secrets[fmt.Sprint("secret ", i)], secrets[fmt.Sprint("signature ", i)] = parts[1], parts[2]
			}
			seen := w.seen(t)
			for where, text := range seen {
				for what, secret := range secrets {
					for form, s := range formsOf(secret) {
						if strings.Contains(text, s) {
							t.Errorf("%s, %s, is in %s", what, form, where)
						}
					}
				}
				if id := strings.Contains(text, idOf(tokens[0])); len(text) < 100 || !id && slices.Contains(showIDs, where) {
					t.Errorf("%s was not watched: %q", where, text)
				}
			}
			for _, want := range []error{ // or the test shows less than it says
				manager.ErrConflict, manager.ErrRemoved, manager.ErrLockTimeout, manager.ErrTooLarge, manager.ErrReadOnly,
				manager.ErrEncode, manager.ErrDecode, manager.ErrNotFound, manager.ErrOutcomeUnknown, manager.ErrUnavailable,
			} {
				if !strings.Contains(seen["errors"], want.Error()) {
					t.Errorf("nothing has failed with %v", want)
				}
			}
			if strings.Contains(seen["log"], w.hostile) || !strings.Contains(seen["messages"], w.hostile) {
				t.Error("what another program has published is in the log, or was not published")
			}
			if inRedis := strings.Contains(seen["commands"], value) && strings.Contains(seen["keys"], value); inRedis == encrypt {
				t.Errorf("values are in Redis in plain text: %v, encrypted: %v", inRedis, encrypt)
			}
		})
	}
}

// showIDs are the places in which IDs are seen: they may be, and so show that the place was watched.
var showIDs = []string{"log", "hooks", "responses", "commands", "messages", "keys"}

// formsOf are the ways in which a secret may be written down.
func formsOf(secret string) map[string]string {
	b := []byte(secret)
	return map[string]string{
		"as it is": secret, "in hex": hex.EncodeToString(b), "as a slice": strings.Trim(fmt.Sprintf("%d", b), "[]"),
		"in base64": base64.RawStdEncoding.EncodeToString(b), "in base64url": base64.RawURLEncoding.EncodeToString(b),
	}
}

// watcher keeps what others than the client see, in a server of its own.
type watcher struct {
	server *redistest.Server
	log    logged // of every level
	hooks  logged
	errs   logged
	bodies logged
	stats  logged

	hostile string // a message that is none

	commands, messages logged
	monitor            net.Conn
	sub                *redis.PubSub
	readers            sync.WaitGroup
}

func watch(t *testing.T) *watcher {
	t.Helper()
	redistest.Only(t, redistest.OwnServer)
	w := &watcher{server: redistest.Start(t), hostile: keys.Random(192)}
	var err error
	if w.monitor, err = net.Dial("tcp", w.server.Addr()); err != nil {
		t.Fatal(err)
	}
	if _, err = io.WriteString(w.monitor, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	w.readers.Go(func() { _, _ = io.Copy(&w.commands, w.monitor) })
	w.sub = w.server.Client(t).PSubscribe(t.Context(), "*")
	if _, err = w.sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.readers.Go(func() {
		for m := range w.sub.Channel(redis.WithChannelSize(1 << 14)) {
			fmt.Fprintln(&w.messages, m.Channel, m.Payload)
		}
	})
	t.Cleanup(w.end)
	wait.Until(t, "the server is watched", func() bool { return strings.Contains(w.commands.String(), "OK") })
	return w
}

func (w *watcher) end() {
	w.monitor.Close()
	w.sub.Close()
	w.readers.Wait()
}

// tell makes a Manager tell all it can.
func (w *watcher) tell(c *manager.Config) {
	c.Logger = slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4, AddSource: true}))
	c.Hooks = manager.Hooks{
		Opened:      func(_ context.Context, e manager.OpenEvent) { fmt.Fprintf(&w.hooks, "%+v\n", e) },
		Committed:   func(_ context.Context, e manager.CommitEvent) { fmt.Fprintf(&w.hooks, "%+v\n", e) },
		Late:        func(_ context.Context, id string) { fmt.Fprintln(&w.hooks, id) },
		Undecodable: func(_ context.Context, id string, err error) { fmt.Fprintf(&w.hooks, "%s %+v\n", id, err) },
	}
	c.ErrorHandler = func(rw http.ResponseWriter, r *http.Request, err error) {
		w.failed(err)
		manager.DefaultErrorHandler(rw, r, err)
	}
}

// failed notes an error and all that stand behind it.
func (w *watcher) failed(errs ...error) {
	for _, err := range errs {
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(&w.errs, "%v %+v %#v\n", e, e, e)
		}
	}
}

// life is what sessions go through at two Managers, and all tokens that there were.
type life struct {
	*watcher

	value    string // what is stored, and is secret
	m, other *manager.Manager
	tokens   []string
}

// live lets sessions live and fail, and returns all tokens that there were.
func (w *watcher) live(t *testing.T, value string, change func(*manager.Config)) (tokens []string) {
	t.Helper()
	rdb, prefix := w.server.Client(t), redistest.Prefix(t)
	faster := func(c *manager.Config) { change(c); c.Timeout, c.LockWait = time.Second, time.Second }
	server := redistest.At(w.server.Addr())
	tap := server.Tap(t)
	l := &life{watcher: w, value: value}
	l.m = open(t, server.TapClient(t, tap), configured(prefix, faster))
	l.other = open(t, rdb, configured(prefix, faster, policy(manager.FailRequest)))

	token := l.well(t.Context())
	l.refused(t.Context(), token)
	l.spoiled(t.Context(), rdb, keys.In(prefix), token)
	l.unavailable(t.Context(), rdb, tap, token)

	l.visit(l.other, l.other.Handler, token, func(s *manager.Session) { _, _ = l.other.RevokeUser(t.Context(), "u1"); add(s) }) // removed
	l.visit(l.other, l.other.Handler, "", l.login)
	l.visit(l.other, l.other.Handler, token, func(s *manager.Session) { s.Destroy() })
	fmt.Fprintf(&w.stats, "%+v %+v", l.m.Stats(), l.other.Stats())
	_, err := manager.New(rdb, &manager.Config{TokenKeys: [][]byte{[]byte(value[:8])}})
	w.failed(err)
	return l.tokens
}

// visit is a request, whose response is watched.
func (l *life) visit(m *manager.Manager, mw func(http.Handler) http.Handler, token string, do func(*manager.Session)) string {
	r, after := visit(m, mw, token, do)
	if after != "" && !slices.Contains(l.tokens, after) {
		l.tokens = append(l.tokens, after)
	}
	body, _ := io.ReadAll(r.Body)
	r.Header.Del("Set-Cookie") // the one place where a token belongs
	fmt.Fprintln(&l.bodies, r.Status, r.Header, string(body))
	return after
}

func (l *life) login(s *manager.Session) { s.Rotate(); s.BindUser("u1"); name.Set(s, l.value) }

// well begins a session that is used in every mode, and logs in again and again. It returns its token.
func (l *life) well(ctx context.Context) string {
	m, other := l.m, l.other
	token := l.visit(m, m.Handler, "", func(s *manager.Session) { name.Set(s, l.value); flash.SetFor(s, l.value, time.Hour) })
	l.visit(m, m.Handler, strings.ToLower(token), nothing) // malformed
	l.visit(m, m.Handler, forged(token), nothing)
	for _, n := range []*manager.Manager{m, other} {
		for _, mw := range wraps(n) {
			l.visit(n, mw, token, func(s *manager.Session) {
				fmt.Fprintf(&l.bodies, "%v %+v %s", s.Info(), s, s.Status())
				_ = name.Get(s)
			})
		}
		token = l.visit(n, n.Handler, token, l.login)
		l.visit(n, n.Handler, l.tokens[0], l.login) // superseded
	}
	l.visit(m, m.Handler, token, func(s *manager.Session) { // taken in, and refused to be
		l.failed(s.Merge(ctx, l.tokens[0]), s.Merge(ctx, "x"+l.tokens[0]), s.Merge(ctx, l.visit(other, other.Handler, "", l.login)))
		_, err := s.Child(l.value + "\n")
		l.failed(errors.Unwrap(err)) // it quotes the name that it was given
		c, _ := s.Child("basket")
		name.Set(c, l.value)
	})
	return token
}

// refused has changes refused, each for another reason.
func (l *life) refused(ctx context.Context, token string) {
	m, other, value := l.m, l.other, l.value
	l.visit(m, m.ReadOnly, token, func(s *manager.Session) { name.Set(s, value); l.failed(s.Err()) })
	l.visit(m, m.Handler, token, func(s *manager.Session) { name.Set(s, strings.Repeat(value, 50000)) })                     // too large
	l.visit(m, m.Handler, token, func(s *manager.Session) { manager.Key[quoting]("q").Set(s, quoting{"x"}) })                // not encodable
	l.visit(other, other.Handler, token, func(s *manager.Session) { _ = manager.Key[time.Time]("name").Get(s) })             // not decodable
	l.visit(m, m.Optimistic, token, func(s *manager.Session) { count.Set(s, 1); l.visit(other, other.Handler, token, add) }) // conflict
	l.visit(m, m.Handler, token, func(s *manager.Session) { add(s); l.visit(other, other.Handler, token, add) })             // lock timeout
	l.visit(m, m.Handler, token, func(s *manager.Session) { _ = s.Commit(ctx); name.Set(s, value) })                         // late
	l.failed(m.Update(ctx, idOf(token), func(s *manager.Session) error { name.Set(s, value); return errQuoting }),
		m.View(ctx, "x", func(*manager.Session) error { return nil }))
	_, err := m.Load(ctx, forged(token))
	l.failed(err)
}

// spoiled opens records, and hears messages, of another program.
func (l *life) spoiled(ctx context.Context, rdb redis.UniversalClient, space keys.Space, token string) {
	m, other := l.m, l.other
	for _, damage := range []string{"v", "h", "i"} {
		spoiled := l.visit(m, m.Handler, "", l.login)
		l.failed(rdb.HSet(ctx, space.Of(idOf(spoiled)).Record, damage, "1e99").Err())
		l.visit(other, other.Handler, spoiled, add)
	}
	l.failed(rdb.HSet(ctx, space.Of(idOf(token)).Record, ".name", "1.abcd:0:\x03junk").Err())
	l.visit(other, other.Handler, token, func(s *manager.Session) { _ = name.Get(s) })
	l.failed(rdb.Publish(ctx, space.Nodes(), "i"+l.hostile).Err())
}

// unavailable has Redis refuse, and then be gone.
func (l *life) unavailable(ctx context.Context, rdb redis.UniversalClient, tap *wiretap.Proxy, token string) {
	m := l.m
	rdb.Do(ctx, "CONFIG", "SET", "maxmemory", "1")
	l.visit(m, m.Handler, token, func(s *manager.Session) { name.Set(s, l.value+"x") })
	rdb.Do(ctx, "CONFIG", "SET", "maxmemory", "0")
	l.visit(m, m.Handler, token, func(s *manager.Session) { // the answer is lost, and then everything is
		name.Set(s, l.value+"y")
		tap.DropReplyOf(func([]string) bool { return true })
	})
	tap.Cut()
	l.visit(m, m.Handler, token, add)
	tap.Heal()
}

// seen is all that was kept, by where it was seen.
func (w *watcher) seen(t *testing.T) map[string]string {
	t.Helper()
	rdb := w.server.Client(t)
	held := strings.Join(dump(t, rdb, "test-*"), "\n")
	const last = "the end of what is watched"
	rdb.Publish(t.Context(), last, "")
	wait.Until(t, "the watchers have seen all", func() bool {
		return strings.Contains(w.commands.String(), last) && strings.Contains(w.messages.String(), last)
	})
	return map[string]string{
		"log": w.log.String(), "hooks": w.hooks.String(), "errors": w.errs.String(), "responses": w.bodies.String(),
		"statistics": w.stats.String(), "commands": w.commands.String(), "messages": w.messages.String(), "keys": held,
	}
}
