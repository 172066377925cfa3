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

// live lets sessions live and fail, and returns all tokens that there were.
func (w *watcher) live(t *testing.T, value string, change func(*manager.Config)) (tokens []string) {
	t.Helper()
	ctx, rdb, prefix := t.Context(), w.server.Client(t), redistest.Prefix(t)
	faster := func(c *manager.Config) { change(c); c.Timeout, c.LockWait = time.Second, time.Second }
	server := redistest.At(w.server.Addr())
	tap := server.Tap(t)
	m := open(t, server.TapClient(t, tap), configured(prefix, faster))
	other := open(t, rdb, configured(prefix, faster, policy(manager.FailRequest)))
	go1 := func(m *manager.Manager, mw func(http.Handler) http.Handler, token string, do func(*manager.Session)) string {
		r, after := visit(m, mw, token, do)
		if after != "" && !slices.Contains(tokens, after) {
			tokens = append(tokens, after)
		}
		body, _ := io.ReadAll(r.Body)
		r.Header.Del("Set-Cookie") // the one place where a token belongs
		fmt.Fprintln(&w.bodies, r.Status, r.Header, string(body))
		return after
	}
	login := func(s *manager.Session) { s.Rotate(); s.BindUser("u1"); name.Set(s, value) }

	token := go1(m, m.Handler, "", func(s *manager.Session) { name.Set(s, value); flash.SetFor(s, value, time.Hour) })
	record := keys.In(prefix).Of(idOf(token)).Record
	go1(m, m.Handler, strings.ToLower(token), nothing) // malformed
	go1(m, m.Handler, forged(token), nothing)
	for _, n := range []*manager.Manager{m, other} { // well
		for _, mw := range wraps(n) {
			go1(n, mw, token, func(s *manager.Session) {
				fmt.Fprintf(&w.bodies, "%v %+v %s", s.Info(), s, s.Status())
				_ = name.Get(s)
			})
		}
		token = go1(n, n.Handler, token, login)
		go1(n, n.Handler, tokens[0], login) // superseded
	}
	go1(m, m.Handler, token, func(s *manager.Session) { // taken in, and refused to be
		w.failed(s.Merge(ctx, tokens[0]), s.Merge(ctx, "x"+tokens[0]), s.Merge(ctx, go1(other, other.Handler, "", login)))
		_, err := s.Child(value + "\n")
		w.failed(errors.Unwrap(err)) // it quotes the name that it was given
		c, _ := s.Child("basket")
		name.Set(c, value)
	})
	go1(m, m.ReadOnly, token, func(s *manager.Session) { name.Set(s, value); w.failed(s.Err()) })
	go1(m, m.Handler, token, func(s *manager.Session) { name.Set(s, strings.Repeat(value, 50000)) })                 // too large
	go1(m, m.Handler, token, func(s *manager.Session) { manager.Key[quoting]("q").Set(s, quoting{"x"}) })            // not encodable
	go1(other, other.Handler, token, func(s *manager.Session) { _ = manager.Key[time.Time]("name").Get(s) })         // not decodable
	go1(m, m.Optimistic, token, func(s *manager.Session) { count.Set(s, 1); go1(other, other.Handler, token, add) }) // conflict
	go1(m, m.Handler, token, func(s *manager.Session) { add(s); go1(other, other.Handler, token, add) })             // lock timeout
	go1(m, m.Handler, token, func(s *manager.Session) { _ = s.Commit(ctx); name.Set(s, value) })                     // late
	w.failed(m.Update(ctx, idOf(token), func(s *manager.Session) error { name.Set(s, value); return errQuoting }),
		m.View(ctx, "x", func(*manager.Session) error { return nil }))
	_, err := m.Load(ctx, forged(token))
	w.failed(err)
	for _, damage := range []string{"v", "h", "i"} {
		spoiled := go1(m, m.Handler, "", login)
		w.failed(rdb.HSet(ctx, keys.In(prefix).Of(idOf(spoiled)).Record, damage, "1e99").Err())
		go1(other, other.Handler, spoiled, add)
	}
	w.failed(rdb.HSet(ctx, record, ".name", "1.abcd:0:\x03junk").Err())
	go1(other, other.Handler, token, func(s *manager.Session) { _ = name.Get(s) })
	w.failed(rdb.Publish(ctx, keys.In(prefix).Nodes(), "i"+w.hostile).Err())
	rdb.Do(ctx, "CONFIG", "SET", "maxmemory", "1")
	go1(m, m.Handler, token, func(s *manager.Session) { name.Set(s, value+"x") })
	rdb.Do(ctx, "CONFIG", "SET", "maxmemory", "0")
	go1(m, m.Handler, token, func(s *manager.Session) { // the answer is lost, and then everything is
		name.Set(s, value+"y")
		tap.DropReplyOf(func([]string) bool { return true })
	})
	tap.Cut()
	go1(m, m.Handler, token, add)
	tap.Heal()
	go1(other, other.Handler, token, func(s *manager.Session) { _, _ = other.RevokeUser(ctx, "u1"); add(s) }) // removed
	go1(other, other.Handler, "", login)
	go1(other, other.Handler, token, func(s *manager.Session) { s.Destroy() })
	fmt.Fprintf(&w.stats, "%+v %+v", m.Stats(), other.Stats())
	_, err = manager.New(rdb, &manager.Config{TokenKeys: [][]byte{[]byte(value[:8])}})
	w.failed(err)
	return tokens
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
