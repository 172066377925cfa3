package shop_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// each runs the test over every implementation of Sessions.
func each(t *testing.T, test func(t *testing.T, v *visitor)) {
	for name, open := range map[string]func(redis.UniversalClient) (shop.Sessions, error){
		"holdfast": func(c redis.UniversalClient) (shop.Sessions, error) {
			return shop.NewHoldfast(c, &manager.Config{
				Prefix: "test", IdleTimeout: time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler),
			})
		},
		"unlocked": func(c redis.UniversalClient) (shop.Sessions, error) {
			return shop.NewUnlocked(c, "test", time.Hour), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := embedded.Start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			sessions, err := open(server.Client())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := sessions.Close(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
			test(t, newVisitor(t, shop.New(sessions, shop.Config{Replica: "replica 1", Variant: name, Backend: "Redis"})))
		})
	}
}

// visitor is a browser on a shop.
type visitor struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
}

func newVisitor(t *testing.T, s *shop.Shop) *visitor {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client := server.Client()
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{t: t, server: server, client: client}
}

func (v *visitor) do(method, path string, form url.Values) (*http.Response, string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, string(body)
}

func (v *visitor) cookie() string {
	u, _ := url.Parse(v.server.URL)
	var all []string
	for _, c := range v.client.Jar.Cookies(u) {
		all = append(all, c.String())
	}
	return strings.Join(all, "; ")
}

func (v *visitor) wantHeader(resp *http.Response, name, want string) {
	v.t.Helper()
	if got := resp.Header.Get(name); got != want {
		v.t.Errorf("%s %s: %s is %q, want %q", resp.Request.Method, resp.Request.URL.Path, name, got, want)
	}
}

func TestVisit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v *visitor) {
		resp, _ := v.do("GET", "/badge", nil)
		v.wantHeader(resp, shop.HeaderSession, "")
		v.wantHeader(resp, shop.HeaderReplica, "replica 1")
		if c := v.cookie(); c != "" {
			t.Errorf("looking at the page left the cookie %q", c)
		}

		resp, _ = v.do("POST", "/cart/rope", nil)
		v.wantHeader(resp, shop.HeaderCount, "1")
		v.wantHeader(resp, "Location", "/")
		id := resp.Header.Get(shop.HeaderSession)
		if resp.StatusCode != http.StatusSeeOther || id == "" {
			t.Errorf("add is answered %d for session %q, want 303 and an ID", resp.StatusCode, id)
		}
		resp, _ = v.do("POST", "/cart/rope", nil)
		v.wantHeader(resp, shop.HeaderCount, "2")
		resp, body := v.do("GET", "/badge", nil)
		v.wantHeader(resp, shop.HeaderSession, id)
		if body != "2\n" {
			t.Errorf("badge shows %q, want 2", body)
		}

		anonymous := v.cookie()
		resp, _ = v.do("POST", "/login", url.Values{"user": {"Ada"}})
		v.wantHeader(resp, shop.HeaderUser, "Ada")
		v.wantHeader(resp, shop.HeaderSession, id)
		if v.cookie() == anonymous {
			t.Error("login kept the cookie")
		}
		resp, body = v.do("GET", "/", nil)
		v.wantHeader(resp, shop.HeaderCount, "2")
		if !strings.Contains(body, "Logged in as <b>Ada</b>") || !strings.Contains(body, "€ 53.00") {
			t.Errorf("page after login lacks the user or the total:\n%s", body)
		}

		resp, _ = v.do("POST", "/logout", nil)
		v.wantHeader(resp, shop.HeaderCount, "2")
		v.wantHeader(resp, shop.HeaderSession, id)
		if c := v.cookie(); c != "" {
			t.Errorf("logout left the cookie %q", c)
		}
		resp, _ = v.do("GET", "/cart", nil)
		v.wantHeader(resp, shop.HeaderSession, "")
	})
}

func TestOldCookieAfterLoginAndLogout(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v *visitor) {
		v.do("POST", "/cart/rope", nil)
		anonymous := v.cookie()
		v.do("POST", "/login", url.Values{"user": {"Ada"}})
		named := v.cookie()
		v.do("POST", "/logout", nil)
		for _, old := range []string{anonymous, named} {
			for _, path := range []string{"/cart", "/badge", "/"} {
				req, err := http.NewRequestWithContext(t.Context(), "GET", v.server.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Cookie", old)
				resp, err := v.client.Transport.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				v.wantHeader(resp, shop.HeaderSession, "")
				v.wantHeader(resp, shop.HeaderUser, "")
			}
		}
	})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, v *visitor) {
		if resp, _ := v.do("POST", "/cart/submarine", nil); resp.StatusCode != http.StatusNotFound {
			t.Errorf("unknown product is answered %d, want 404", resp.StatusCode)
		}
		for _, user := range []string{"", "  ", strings.Repeat("x", 41)} {
			resp, _ := v.do("POST", "/login", url.Values{"user": {user}})
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("login as %q is answered %d, want 400", user, resp.StatusCode)
			}
		}
		if c := v.cookie(); c != "" {
			t.Errorf("refused requests left the cookie %q", c)
		}
		v.do("POST", "/login", url.Values{"user": {"<script>"}})
		if _, body := v.do("GET", "/", nil); strings.Contains(body, "<script>") {
			t.Error("the user's name reaches the page as markup")
		}
	})
}

func TestRedisUnavailable(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	v := newVisitor(t, shop.New(shop.NewUnlocked(client, "test", time.Hour), shop.Config{}))
	req, _ := http.NewRequestWithContext(t.Context(), "POST", v.server.URL+"/cart/rope", nil)
	req.Header.Set("Cookie", "unlocked=x")
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status is %d without Redis, want 503", resp.StatusCode)
	}
}
