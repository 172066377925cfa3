package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// slow is a hook of go-redis that delays scripts by the time that is set.
type slow struct{ by atomic.Int64 }

func (*slow) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*slow) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			select {
			case <-time.After(time.Duration(h.by.Load())):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return next(ctx, cmd)
	}
}

// delayed is a Manager in a bubble whose scripts may be delayed.
func delayed(t *testing.T, v *virtual) (*manager.Manager, *slow) {
	t.Helper()
	client, hook := v.srv.NewClient(), new(slow)
	client.AddHook(hook)
	m, err := manager.New(client, configured(""))
	if err != nil {
		t.Fatal(err)
	}
	v.managers = append(v.managers, m)
	return m, hook
}

// The response waits for a commit that another goroutine of the handler has begun, and has its outcome.
func TestResponseWaitsForTheCommitUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m, hook := delayed(t, v)
		commit := func(fail bool) *http.Response {
			h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				add(s)
				if fail {
					name.Set(s, strings.Repeat("x", 2<<20))
				}
				hook.by.Store(int64(time.Second))
				go func() { _ = s.Commit(r.Context()) }()
				synctest.Wait() // the commit is under way
				_, _ = w.Write([]byte("done"))
			}))
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
			hook.by.Store(0)
			return rec.Result()
		}
		if res := commit(false); res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
			t.Errorf("status %d with %d cookies: the response has left before the commit", res.StatusCode, len(res.Cookies()))
		}
		if res := commit(true); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d after a commit that failed", res.StatusCode)
		}
	})
}

// A lazy session that another goroutine is opening when the response begins leaves no lock behind.
func TestOpeningWhileTheResponseBegins(t *testing.T) {
	for _, stays := range []bool{false, true} {
		bubbleNamed(t, map[bool]string{false: "handler returns", true: "handler stays"}[stays], func(t *testing.T, v *virtual) {
			m, hook := delayed(t, v)
			_, token := visit(m, m.Handler, "", add)
			hook.by.Store(int64(time.Second))
			h := m.Lazy(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := m.Session(r.Context())
				go func() { count.Get(s) }()
				synctest.Wait() // it is being opened
				_, _ = w.Write([]byte("done"))
				if stays {
					time.Sleep(10 * time.Second)
					if left := lockKeys(t, v); len(left) > 0 {
						t.Errorf("%q are left although the response has begun", left)
					}
				}
			}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.AddCookie(&http.Cookie{Name: "session", Value: token})
			h.ServeHTTP(httptest.NewRecorder(), r)
			hook.by.Store(0)
			time.Sleep(10 * time.Second)
			if left := lockKeys(t, v); len(left) > 0 {
				t.Errorf("%q are left", left)
			}
		})
	}
}

// bubbleNamed is bubble as a subtest.
func bubbleNamed(t *testing.T, name string, fn func(t *testing.T, v *virtual)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { bubble(t, fn) })
}

// lockKeys lists the locks and queues in a bubble's Redis.
func lockKeys(t *testing.T, v *virtual) []string {
	t.Helper()
	client := v.srv.NewClient()
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasSuffix(k, ":lock") && !strings.HasSuffix(k, ":queue") })
}

// A user without rights on the channels cannot publish, and its commits are written and acknowledged all the same.
func TestCommitsOfAUserWithoutChannels(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OneAddress)
	srv := redistest.Start(t)
	if err := srv.Client(t).Do(t.Context(), "ACL", "SETUSER", "mute", "on", "nopass", "~*", "resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	mute := func(o *redis.Options) { o.Username, o.Password = "mute", "any" }
	nodes := make([]*manager.Manager, 2)
	for i := range nodes {
		// A lock that is retained could not be recalled either, and a load would wait for its end.
		nodes[i] = open(t, srv.NewClient(t, mute), configured("muted", unretained, func(c *manager.Config) { c.Propagator = manager.Header{} }))
	}
	token, err := begin(t.Context(), nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		m := nodes[i%2]
		ctx, err := m.Load(t.Context(), token) // and the other node has a copy
		if err != nil {
			t.Fatal(err)
		}
		add(m.Session(ctx))
		if _, _, err := m.Commit(ctx); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	ctx, err := nodes[0].Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	s := nodes[0].Session(ctx)
	if got := count.Get(s); got != 7 {
		t.Errorf("count is %d, want 7", got)
	}
	s.Destroy()
	if _, _, err := nodes[0].Commit(ctx); err != nil {
		t.Errorf("a session is destroyed: %v", err)
	}
}

func TestEarlyUnlock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		nodes := replicas(t, b, 2, unretained)
		browser := newBrowser(t)
		browser.get(nodes[0], "/add")
		nodes[0].handle = func(w http.ResponseWriter, r *http.Request, s *manager.Session) {
			s.Rotate()
			count.Set(s, 7)
			if err := s.Commit(r.Context()); err != nil {
				t.Error(err)
			}
			if left := locks(t, b.Client(t), b.Prefix); len(left) != 0 {
				t.Errorf("after Commit there is %q", left)
			}
			if r.Context().Err() != nil {
				t.Error("the request's context ended with its lock")
			}
			if got := count.Get(s); got != 7 {
				t.Errorf("the session reads %d after its commit", got)
			}
			fmt.Fprint(w, "late")
		}
		old := browser.token(nodes[0])
		browser.get(nodes[0], "/")
		if browser.token(nodes[0]) == old {
			t.Error("the new token did not reach the client")
		}
		if r := browser.get(nodes[1], "/look"); r.body != "7" {
			t.Errorf("found %q", r.body)
		}
	})
}
