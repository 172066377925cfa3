package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// secretKey is a key for tests.
func secretKey(i byte) []byte { return bytes.Repeat([]byte{i}, 32) }

func signed(keys ...byte) func(*manager.Config) {
	return func(c *manager.Config) {
		for _, k := range keys {
			c.TokenKeys = append(c.TokenKeys, secretKey(k))
		}
	}
}

func TestSignedTokens(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n, tap := tapped(t, b, signed(1))
		tab, good := customer(t, n)
		if len(good) != 110 || strings.Count(good, ".") != 2 {
			t.Fatalf("a signed token has %d characters", len(good))
		}
		if got := tab.get(n, "/add").body; got != "2" {
			t.Fatalf("with its token: %q", got)
		}
		unlocked(t, b.Client(t), b.Prefix)

		// Forged ones are refused without asking Redis, in every mode.
		flip := func(i int) string {
			text := []byte(good)
			text[i] ^= 1
			return string(text)
		}
		foreign := on(t, b, signed(9))
		_, other := visit(foreign, foreign.Handler, "", add)
		tap.Reset()
		before := n.Stats()
		forged := []string{flip(0), flip(30), flip(70), flip(109), good[:66], good[:66] + "." + other[67:], other, good + ".", strings.Repeat("A", 110)}
		for _, text := range forged {
			for _, path := range []string{"/look", "/ro/look", "/opt/look", "/lazy/look"} {
				thief := newBrowser(t)
				thief.show(n, text)
				if r := thief.get(n, path); r.StatusCode != http.StatusOK || r.body != "0" || len(r.Header["Set-Cookie"]) != 0 {
					t.Errorf("%s with %q: %d %q", path, text, r.StatusCode, r.body)
				}
			}
		}
		if got := tap.Trips(); got != 0 {
			t.Errorf("forged tokens cost %d round trips: %v", got, tap.Commands())
		}
		if got := n.Stats().Malformed - before.Malformed; got != int64(4*len(forged)) {
			t.Errorf("%d forged tokens were counted, want %d", got, 4*len(forged))
		}
	})
}

// A new key goes in front; what the old one has signed goes on until the key is taken away.
func TestRotationOfTokenKeys(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		old, both, fresh := serve(t, on(t, b, signed(1)), shop), serve(t, on(t, b, signed(2, 1)), shop), serve(t, on(t, b, signed(2)), shop)
		tab, late := newBrowser(t), newBrowser(t)
		tab.get(old, "/add")
		late.get(old, "/add")
		if got := tab.get(both, "/add").body; got != "2" {
			t.Errorf("signed with the old key, on a replica that knows both: %q", got)
		}
		tab.get(both, "/rotate")
		if got := tab.get(fresh, "/add").body; got != "3" {
			t.Errorf("signed again, on a replica with the new key: %q", got)
		}
		if got := tab.get(old, "/look").body; got != "0" {
			t.Errorf("signed again, on a replica with the old key: %q", got)
		}
		if got := late.get(fresh, "/look").body; got != "0" {
			t.Errorf("signed with a key that is gone: %q", got)
		}
	})
}

// tell makes a Manager write all that it tells to a log.
func tell(log *logged) func(*manager.Config) {
	return func(c *manager.Config) {
		l := log.logger()
		c.Logger = l
		c.RotateEvery = time.Hour
		c.Hooks = manager.Hooks{
			Opened:      func(_ context.Context, e manager.OpenEvent) { l.Info("opened", "event", fmt.Sprintf("%+v", e)) },
			Committed:   func(_ context.Context, e manager.CommitEvent) { l.Info("committed", "event", fmt.Sprintf("%+v", e)) },
			Late:        func(_ context.Context, id string) { l.Info("late", "id", id) },
			Undecodable: func(_ context.Context, id string, err error) { l.Info("undecodable", "id", id, "err", err) },
		}
		c.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
			l.Error("refused", "err", fmt.Sprintf("%+v", err))
			manager.DefaultErrorHandler(w, r, err)
		}
	}
}

// fails is a handler that is refused, comes late, and merges what is no token.
func fails(n *node, log *logged, secret string) func(http.ResponseWriter, *http.Request, *manager.Session) {
	return func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
		err := s.Merge(r.Context(), secret+"."+secret)
		err = errors.Join(err, s.Merge(r.Context(), "AAAAAAAAAAAAAAAAAAAAAA."+secret))
		count.Set(s, 5)
		_, _ = n.Revoke(context.Background(), s.ID()) // as from outside of the request
		fmt.Fprint(w, "late")
		count.Set(s, 6)
		log.logger().Error("merge", "err", fmt.Sprintf("%+v", err))
	}
}

// Redis, logs, hooks and errors never see what would open a session.
func TestSecretsAreHashedAtRest(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, keys := range map[string]func(*manager.Config){"plain": func(*manager.Config) {}, "signed": signed(1)} {
			log := &logged{}
			n, tap := tapped(t, b, keys, tell(log))
			other, otherTap := tapped(t, b, keys, tell(log))
			var secrets []string
			tab, bodies := newBrowser(t), ""
			visit := func(n *node, path string) {
				bodies += tab.get(n, path).body
				if parts := strings.Split(tab.token(n), "."); len(parts) > 1 {
					secrets = append(secrets, parts[1:]...)
				}
			}
			for _, path := range []string{"/add", "/opt/add", "/lazy/add", "/ro/look", "/rotate", "/add", "/login", "/ro/look"} {
				visit(n, path)
				visit(other, path)
			}
			thief := newBrowser(t) // superseded, wrong and malformed tokens
			for _, secret := range secrets[:2] {
				for _, shown := range []string{idOf(tab.token(n)) + "." + secret, secret, secret + "." + secret} {
					thief.show(n, shown)
					bodies += thief.get(n, "/add").body
				}
			}
			n.handle = fails(n, log, secrets[0])
			visit(n, "/")
			n.handle = shop
			visit(n, "/add")
			visit(other, "/logout")
			if len(secrets) < 10 || !strings.Contains(log.String(), "refused") {
				t.Fatalf("%s: %d secrets, log %s", what, len(secrets), log)
			}
			for where, text := range map[string]string{
				"sent to Redis": string(tap.Sent()) + string(otherTap.Sent()), "received from Redis": string(tap.Received()) + string(otherTap.Received()),
				"logged": log.String(), "told to the client in a body": bodies,
			} {
				if len(text) < 10 {
					t.Errorf("%s: nothing was %s", what, where)
				}
				for i, secret := range secrets {
					if strings.Contains(text, secret) {
						t.Errorf("%s: secret %d was %s", what, i, where)
					}
				}
			}
		}
	})
}
