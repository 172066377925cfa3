package shop

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// Unlocked keeps each session as one JSON value under its token: a GET when the request comes, a SET of the whole
// when it ends. There is no lock and no version, so of two requests at once the later SET undoes the earlier, and a
// SET after a logout brings the session back. It is here to be compared with.
type Unlocked struct {
	client redis.UniversalClient
	prefix string
	idle   time.Duration

	// Saved, if set, is called with each session that was written: nothing in Redis leads from its ID to its token. Set it
	// before the first request.
	Saved func(id, token string)
}

var _ Sessions = (*Unlocked)(nil)

// NewUnlocked keeps sessions under prefix; each dies after idle without a write.
func NewUnlocked(client redis.UniversalClient, prefix string, idle time.Duration) *Unlocked {
	return &Unlocked{client: client, prefix: prefix + ":session:", idle: idle}
}

// unlockedCookie has a name of its own, so that both ways of keeping sessions can be tried in one browser.
const unlockedCookie = "unlocked"

// Exclusive is exclusive by name only: that is the point.
func (u *Unlocked) Exclusive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, r := u.visit(w, r)
		if v == nil {
			return
		}
		// The answer waits in memory, because the cookie goes before it.
		answer := &heldAnswer{header: w.Header().Clone(), status: http.StatusOK}
		next.ServeHTTP(answer, r)
		if err := u.save(r.Context(), answer.header, v); err != nil {
			// Whether it was written is open, so the client is not asked to repeat it.
			http.Error(w, "The shop cannot save its session.", http.StatusServiceUnavailable)
			return
		}
		answer.sendTo(w)
	})
}

// Fresh is ReadOnly: nothing is kept locally.
func (u *Unlocked) Fresh(next http.Handler) http.Handler { return u.ReadOnly(next) }

// ReadOnly reads the session and writes nothing.
func (u *Unlocked) ReadOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, r := u.visit(w, r); v != nil {
			next.ServeHTTP(w, r)
		}
	})
}

// visit reads the session, and returns it and the request that has it with it. Without Redis it answers, and returns nil.
func (u *Unlocked) visit(w http.ResponseWriter, r *http.Request) (*unlockedVisit, *http.Request) {
	v, err := u.load(r)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "The shop cannot reach its sessions.", http.StatusServiceUnavailable)
		return nil, r
	}
	return v, r.WithContext(context.WithValue(r.Context(), unlockedKey{}, v))
}

// Visit returns the session that the wrap around the handler has read.
func (u *Unlocked) Visit(r *http.Request) Visit {
	return r.Context().Value(unlockedKey{}).(*unlockedVisit)
}

// Stats is all zero: nothing is kept locally.
func (u *Unlocked) Stats() Stats { return Stats{} }

// Close has nothing to release.
func (u *Unlocked) Close(context.Context) error { return nil }

func (u *Unlocked) load(r *http.Request) (*unlockedVisit, error) {
	if c, err := r.Cookie(unlockedCookie); err == nil && c.Value != "" {
		data, err := u.client.Get(r.Context(), u.prefix+c.Value).Bytes()
		switch {
		case err == nil:
			v := &unlockedVisit{token: c.Value}
			if err := json.Unmarshal(data, &v.record); err != nil {
				return nil, fmt.Errorf("decode session: %w", err)
			}
			return v, nil
		case !errors.Is(err, redis.Nil):
			return nil, fmt.Errorf("read session: %w", err)
		}
	}
	return &unlockedVisit{record: unlockedRecord{ID: rand.Text()[:22]}}, nil
}

func (u *Unlocked) save(ctx context.Context, header http.Header, v *unlockedVisit) error {
	old := v.token
	if v.token == "" || v.rotated {
		v.token = newToken()
	}
	switch {
	case v.destroyed:
		if err := u.client.Del(ctx, u.prefix+old).Err(); err != nil {
			return fmt.Errorf("delete session: %w", err)
		}
		setCookie(header, "", -1)
	case v.modified:
		data, err := json.Marshal(v.record)
		if err != nil {
			return fmt.Errorf("encode session: %w", err)
		}
		if v.rotated && old != "" {
			if err := u.client.Del(ctx, u.prefix+old).Err(); err != nil {
				return fmt.Errorf("delete rotated session: %w", err)
			}
		}
		if err := u.client.Set(ctx, u.prefix+v.token, data, u.idle).Err(); err != nil {
			return fmt.Errorf("write session: %w", err)
		}
		if u.Saved != nil {
			u.Saved(v.record.ID, v.token)
		}
		setCookie(header, v.token, int(u.idle/time.Second))
	}
	return nil
}

// Look reads the session of a token, and reports whether it is there. It is for looking on, not for serving.
func (u *Unlocked) Look(ctx context.Context, token string) (cart Cart, user string, found bool, err error) {
	data, err := u.client.Get(ctx, u.prefix+token).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, "", false, nil
	}
	var r unlockedRecord
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return nil, "", false, fmt.Errorf("look at a session: %w", err)
	}
	return r.Cart, r.User, true, nil
}

func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func setCookie(header http.Header, value string, maxAge int) {
	c := &http.Cookie{
		Name: unlockedCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	header.Add("Set-Cookie", c.String())
}

type unlockedKey struct{}

type unlockedRecord struct {
	ID   string
	User string
	Cart Cart
}

type unlockedVisit struct {
	token                        string // "" until the first save
	record                       unlockedRecord
	modified, rotated, destroyed bool
}

var _ Visit = (*unlockedVisit)(nil)

func (v *unlockedVisit) ID() string       { return v.record.ID }
func (v *unlockedVisit) IsNew() bool      { return v.token == "" }
func (v *unlockedVisit) Superseded() bool { return false } // it cannot know
func (v *unlockedVisit) Cart() Cart       { return v.record.Cart }
func (v *unlockedVisit) User() string     { return v.record.User }
func (v *unlockedVisit) Logout()          { v.destroyed = true }

func (v *unlockedVisit) SetCart(c Cart) {
	v.record.Cart, v.modified = c, true
}

func (v *unlockedVisit) Login(user string) {
	v.record.User, v.modified, v.rotated = user, true, true
}

// heldAnswer keeps a response until the session is saved.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *heldAnswer) Header() http.Header         { return a.header }
func (a *heldAnswer) WriteHeader(status int)      { a.status = status }
func (a *heldAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *heldAnswer) sendTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes()) // the client has left
}
