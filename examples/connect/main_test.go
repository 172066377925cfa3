package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// caller is a client that keeps the token it got last.
type caller struct {
	t     *testing.T
	http  *http.Client
	url   string
	opts  []connect.ClientOption
	token string
}

func (c *caller) add(sku string) (int64, error) {
	c.t.Helper()
	req := connect.NewRequest(wrapperspb.String(sku))
	c.show(req)
	resp, err := connect.NewClient[item, count](c.http, c.url+addItem, c.opts...).CallUnary(c.t.Context(), req)
	if err != nil {
		return 0, err
	}
	c.keep(resp.Header())
	return resp.Msg.GetValue(), nil
}

func (c *caller) count() int64 {
	c.t.Helper()
	req := connect.NewRequest(&emptypb.Empty{})
	c.show(req)
	resp, err := connect.NewClient[emptypb.Empty, count](c.http, c.url+getItems, c.opts...).CallUnary(c.t.Context(), req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.keep(resp.Header())
	return resp.Msg.GetValue()
}

func (c *caller) show(req connect.AnyRequest) {
	if c.token != "" {
		req.Header().Set("Authorization", "Bearer "+c.token)
	}
}

func (c *caller) keep(h http.Header) {
	if v := h.Values("X-Session-Token"); len(v) == 1 {
		c.token = v[0]
	}
}

// The three protocols that connect speaks carry the headers alike.
func TestCart(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &manager.Config{Propagator: header})
	srv := httptest.NewUnstartedServer(routes(m))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	for name, opts := range map[string][]connect.ClientOption{
		"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			c := &caller{t: t, http: srv.Client(), url: srv.URL, opts: opts}
			if n := c.count(); n != 0 || c.token != "" {
				t.Errorf("a caller who stores nothing: %d, %q", n, c.token)
			}
			for want, sku := range []string{"pen", "ink"} {
				if n, err := c.add(sku); err != nil || n != int64(want)+1 {
					t.Errorf("add: %d, %v", n, err)
				}
				if c.token == "" {
					t.Fatal("no token came back")
				}
			}
			if _, err := c.add(""); connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("got %v", err)
			}
			if n := c.count(); n != 2 {
				t.Errorf("%d in the cart, want 2", n)
			}
		})
	}
}

// The Manager's plain 503 arrives as the code that tells clients to try again.
func TestWithoutASession(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &manager.Config{Propagator: header})
	srv := httptest.NewServer(routes(m))
	t.Cleanup(srv.Close)
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := &caller{t: t, http: srv.Client(), url: srv.URL}
	if _, err := c.add("pen"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}
