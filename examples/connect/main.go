// Command connect serves remote procedure calls with connectrpc.com/connect to clients that are no browsers: the token
// travels in headers.
package main

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/holdfast-go/holdfast/examples/internal/run"
	"github.com/holdfast-go/holdfast/manager"
)

// What generated code would have; types that protobuf brings spare this example the generator.
const (
	addItem  = "/cart.v1.CartService/AddItem"
	getItems = "/cart.v1.CartService/GetItems"
)

type (
	item  = wrapperspb.StringValue
	count = wrapperspb.Int64Value
)

var cart = manager.Key[[]string]("cart")

// header takes the token from "Authorization: Bearer …". A new one comes back in X-Session-Token.
var header = manager.Header{Name: "Authorization"}

func main() { run.HTTP(manager.Config{Propagator: header}, routes) }

func routes(m *manager.Manager) http.Handler {
	s := service{m}
	mux := http.NewServeMux()
	// A unary call is written once its method has returned, so an error of the commit takes the place of the answer. In a
	// streaming call the commit comes with the first message: change the session before that.
	mux.Handle(addItem, m.Handler(connect.NewUnaryHandler(addItem, s.add)))
	mux.Handle(getItems, m.ReadOnly(connect.NewUnaryHandler(getItems, s.count)))
	return mux
}

type service struct{ sessions *manager.Manager }

func (s service) add(ctx context.Context, req *connect.Request[item]) (*connect.Response[count], error) {
	session := s.sessions.Session(ctx)
	skus := append(cart.Get(session), req.Msg.GetValue())
	cart.Set(session, skus)
	if req.Msg.GetValue() == "" {
		s.sessions.Discard(ctx) // an error is an answer like any other: without this the cart would be saved
		return nil, connect.NewError(connect.CodeInvalidArgument, nil)
	}
	return connect.NewResponse(wrapperspb.Int64(int64(len(skus)))), nil
}

func (s service) count(ctx context.Context, _ *connect.Request[emptypb.Empty]) (*connect.Response[count], error) {
	return connect.NewResponse(wrapperspb.Int64(int64(len(cart.Get(s.sessions.Session(ctx)))))), nil
}
