package manager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// call makes a request of a client that is no browser, with some headers.
func call(t *testing.T, n *node, path string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp, string(body)}
}

func TestHeaderTransport(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, c := range []struct {
			header       manager.Header
			sends, gets  string
			scheme, vary string
		}{
			{manager.Header{}, "X-Session-Token", "X-Session-Token", "", "X-Session-Token"},
			{manager.Header{Name: "x-api-session"}, "X-Api-Session", "X-Api-Session", "", "x-api-session"},
			{manager.Header{Name: "Authorization"}, "Authorization", "X-Session-Token", "Bearer ", "Authorization"},
		} {
			with := func(cfg *manager.Config) { cfg.Propagator = c.header }
			n, other := serve(t, on(t, b, with), shop), serve(t, on(t, b, with), shop)
			r := call(t, n, "/add")
			token := r.Header.Get(c.gets)
			until, err := http.ParseTime(r.Header.Get("X-Session-Expires"))
			if len(token) != 66 || err != nil || time.Until(until) < 23*time.Hour || len(r.Header["Set-Cookie"]) != 0 {
				t.Fatalf("%v: first response %v", c.header, r.Header)
			}
			if r.Header.Get("Vary") != c.vary || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v: Vary %q, Cache-Control %q", c.header, r.Header["Vary"], r.Header["Cache-Control"])
			}
			if r := call(t, other, "/add", c.sends, c.scheme+token); r.body != "2" || r.Header.Get(c.gets) != "" {
				t.Errorf("%v: with the token: %q, %v", c.header, r.body, r.Header)
			}
			r = call(t, n, "/rotate", c.sends, c.scheme+token)
			fresh := r.Header.Get(c.gets)
			if fresh == "" || fresh == token {
				t.Errorf("%v: rotated to %q", c.header, fresh)
			}
			if r := call(t, other, "/look", c.sends, c.scheme+fresh); r.body != "2" {
				t.Errorf("%v: with the rotated token: %q", c.header, r.body)
			}
			for _, wrong := range [][]string{
				{c.sends, c.scheme + fresh, c.sends, c.scheme + token}, // twice
				{c.sends, "Basic " + fresh},
				{c.sends, c.scheme + fresh + "x"},
				{c.sends, ""},
				{"Cookie", "session=" + fresh},
			} {
				if r := call(t, other, "/look", wrong...); r.body != "0" || r.Header.Get(c.gets) != "" {
					t.Errorf("%v: with %q: %q, %v", c.header, wrong, r.body, r.Header)
				}
			}
			r = call(t, n, "/logout", c.sends, c.scheme+fresh)
			if got, told := r.Header[c.gets]; !told || got[0] != "" {
				t.Errorf("%v: destroyed: %v", c.header, r.Header)
			}
		}
	})
}

// A chain answers by the way the request came.
func TestChain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		n := serve(t, on(t, b, func(cfg *manager.Config) {
			cfg.Propagator = manager.Chain{
				manager.Cookie{Insecure: true},
				manager.Chain{manager.Header{Name: "X-App-Token"}, manager.Header{Name: "Authorization"}},
			}
		}), shop)
		_, token := customer(t, n)
		for _, c := range []struct {
			what   string
			send   []string
			answer string // the header that has the answer
		}{
			{"cookie", []string{"Cookie", "session=TOKEN"}, "Set-Cookie"},
			{"first of the inner chain", []string{"X-App-Token", "TOKEN"}, "X-App-Token"},
			{"last of the inner chain", []string{"Authorization", "Bearer TOKEN"}, "X-Session-Token"},
			{"empty cookie and header", []string{"Cookie", "session=", "X-App-Token", "TOKEN"}, "X-App-Token"},
			{"cookie before header", []string{"Cookie", "session=TOKEN", "X-App-Token", "nonsense"}, "Set-Cookie"},
		} {
			with := func(token string) []string {
				out := slices.Clone(c.send)
				for i := range out {
					out[i] = strings.ReplaceAll(out[i], "TOKEN", token)
				}
				return out
			}
			r := call(t, n, "/rotate", with(token)...)
			if r.body != "1" {
				t.Fatalf("%s: count is %q", c.what, r.body)
			}
			token = ""
			for _, header := range []string{"Set-Cookie", "X-App-Token", "X-Session-Token"} {
				value := r.Header.Get(header)
				if (value != "") != (header == c.answer) {
					t.Errorf("%s: %s is %q", c.what, header, value)
				}
				token += strings.TrimPrefix(value[:max(0, strings.Index(value+";", ";"))], "session=")
			}
			if r = call(t, n, "/look", with(token)...); r.body != "1" {
				t.Errorf("%s: the answer's token is not good: %q", c.what, r.body)
			}
		}
		if r := call(t, n, "/add"); len(r.Cookies()) != 1 || r.Header.Get("X-Session-Token") != "" {
			t.Errorf("nothing sent: %v", r.Header)
		}
	})
}

// exchange is a protocol that carries the token in the bodies.
type exchange struct {
	Token string `json:"token"`
	Add   int    `json:"add"`
	Count int    `json:"count"`
}

func TestBodyTransport(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		serve := func(m *manager.Manager) func(exchange) exchange {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in, out exchange
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
					t.Error(err)
				}
				ctx, err := m.Load(r.Context(), in.Token)
				if err != nil {
					t.Error(err)
					return
				}
				defer m.Discard(ctx)
				s := m.Session(ctx)
				switch {
				case in.Add < 0:
					s.Destroy()
				case in.Add > 0:
					count.Set(s, count.Get(s)+in.Add)
				}
				out.Count = count.Get(s)
				var expires time.Time
				if out.Token, expires, err = m.Commit(ctx); err != nil {
					t.Error(err)
				}
				if out.Token != "" && time.Until(expires) < 23*time.Hour {
					t.Errorf("the token is good until %v", expires)
				}
				_ = json.NewEncoder(w).Encode(out)
			})
			return func(in exchange) (out exchange) {
				body, _ := json.Marshal(in)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))))
				if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
					t.Error(err)
				}
				return out
			}
		}
		first, second := serve(on(t, b)), serve(on(t, b))
		if r := first(exchange{}); r.Token != "" {
			t.Errorf("nothing stored, and a token %q", r.Token)
		}
		token := first(exchange{Add: 2}).Token
		if r := second(exchange{Token: token, Add: 3}); r.Count != 5 || r.Token != token {
			t.Errorf("on the second replica: %+v", r)
		}
		if r := first(exchange{Token: token}); r.Count != 5 || r.Token != token {
			t.Errorf("read: %+v", r)
		}
		if r := first(exchange{Token: token, Add: -1}); r.Token != "" {
			t.Errorf("destroyed: %+v", r)
		}
		if r := second(exchange{Token: token}); r.Count != 0 || r.Token != "" {
			t.Errorf("after it was destroyed: %+v", r)
		}
		unlocked(t, b.Client(t), b.Prefix)
	})
}

// Load without Commit leaves nothing and keeps no request waiting.
func TestDiscardAfterLoad(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		ctx := context.Background()
		m.Discard(ctx) // nothing was loaded
		_, token := visit(m, m.Handler, "", add)
		for range 2 {
			loaded, err := m.Load(ctx, token)
			if err != nil {
				t.Fatal(err)
			}
			count.Set(m.Session(loaded), 99)
			m.Discard(loaded)
			m.Discard(loaded)
			unlocked(t, b.Client(t), b.Prefix)
		}
		if got := found(m, token); got != 1 {
			t.Errorf("count is %d, want 1", got)
		}
	})
}

func TestSeveralManagers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		type pair struct{ shop, staff *manager.Manager }
		replica := func() pair {
			return pair{
				open(t, b.Client(t), configured(b.Prefix+"shop")),
				open(t, b.Client(t), configured(b.Prefix+"staff", func(c *manager.Config) {
					c.Propagator = manager.Cookie{Name: "staff", Insecure: true}
				})),
			}
		}
		start := func(p pair) *node {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				one, two := p.shop.Session(r.Context()), p.staff.Session(r.Context())
				switch r.URL.Path {
				case "/shop":
					count.Set(one, count.Get(one)+1)
				case "/staff":
					count.Set(two, count.Get(two)+10)
				case "/both":
					count.Set(one, count.Get(one)+1)
					count.Set(two, count.Get(two)+10)
				case "/leave":
					two.Destroy()
				}
				fmt.Fprint(w, count.Get(one), " ", count.Get(two))
			})
			n := &node{Manager: p.shop, Server: httptest.NewServer(p.shop.Handler(p.staff.Handler(h)))}
			t.Cleanup(n.Server.Close)
			return n
		}
		nodes := []*node{start(replica()), start(replica())}
		tab := newBrowser(t)
		for i, c := range []struct {
			path, want string
			cookies    int
		}{
			{"/look", "0 0", 0},
			{"/shop", "1 0", 1},
			{"/staff", "1 10", 1},
			{"/both", "2 20", 0},
			{"/leave", "2 0", 1},
			{"/shop", "3 0", 0},
			{"/both", "4 10", 1},
		} {
			r := tab.get(nodes[i%2], c.path)
			if r.body != c.want || len(r.Cookies()) != c.cookies {
				t.Errorf("step %d, %s: %q with cookies %v, want %q", i, c.path, r.body, r.Cookies(), c.want)
			}
		}
		// A token of one opens nothing at the other.
		if r := call(t, nodes[0], "/look", "Cookie", "staff="+tab.token(nodes[0])); r.body != "0 0" {
			t.Errorf("a token of the other Manager opens %q", r.body)
		}
		rdb := b.Client(t)
		unlocked(t, rdb, b.Prefix+"shop")
		unlocked(t, rdb, b.Prefix+"staff")
		shop, staff := keysOf(t, rdb, b.Prefix+"shop"), keysOf(t, rdb, b.Prefix+"staff")
		if len(shop) != 1 || len(staff) == 0 { // a session that ended a moment ago leaves a mark
			t.Errorf("keys in Redis: %q and %q", shop, staff)
		}
	})
}

func FuzzHeaderExtract(f *testing.F) {
	for _, seed := range [][2]string{{"X-Session-Token", "abc"}, {"Authorization", "Bearer abc"}, {"authorization", "bearer  x"}, {"Authorization", "Basic x"}, {"Authorization", "Bearer"}, {"Authorization", "Bearer \xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		r := &http.Request{Header: http.Header{}}
		r.Header.Set(name, value)
		for _, p := range []manager.Propagator{manager.Header{Name: name}, manager.Chain{manager.Header{Name: name}, manager.Cookie{}}} {
			if got, ok := p.Extract(r); ok != (got != "") || !strings.HasSuffix(value, got) {
				t.Fatalf("%q: %q gives %q, %v", name, value, got, ok)
			}
		}
	})
}
