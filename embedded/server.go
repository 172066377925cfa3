package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// poolSize is the number of connections a client may open before its commands queue for one. It is far above what a
// test uses at once, for a reason: go-redis takes the timer of a queueing command from a pool that the whole process
// shares, and a timer that was made in one synctest bubble must not be used in another.
const poolSize = 1024

// errClosed is what a client reports that dials after Close.
var errClosed = errors.New("embedded: server is closed")

// Server is a Redis inside this process. It is safe for concurrent use. The caller of Start or InMemory closes it.
type Server struct {
	mini   *miniredis.Miniredis
	addr   string // empty without a listener
	client *redis.Client
	done   chan struct{} // closed when Close has finished

	listener  net.Listener // nil without one
	accepting sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	clients []*redis.Client
}

// Start starts a server on a free port of 127.0.0.1. It fails if there is none.
func Start() (*Server, error) {
	mini, l, err := listen()
	if err != nil {
		return nil, fmt.Errorf("start embedded redis: %w", err)
	}
	if err := begin(mini); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := newServer(mini, l.Addr().String())
	s.listener = l
	s.accepting.Go(s.accept)
	return s, nil
}

// listen makes a miniredis, and listens at an address that it knows to be its own: it answers CLUSTER SLOTS with it. It
// learns one only by listening itself, and then reads from connections what a framed one refuses.
func listen() (mini *miniredis.Miniredis, l net.Listener, err error) {
	for range portTries {
		mini = miniredis.NewMiniRedis()
		if err = mini.Start(); err != nil {
			break
		}
		addr := mini.Addr()
		mini.Close()
		mini.Ctx, mini.CtxCancel = context.WithCancel(context.Background()) // Close has ended them
		if l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", addr); err == nil {
			break
		}
	}
	return mini, l, err
}

// portTries is how many ports listen tries: each is free for a moment, in which a connection of any program may take it.
const portTries = 50

// begin starts a miniredis without a listener.
func begin(mini *miniredis.Miniredis) error {
	first, err := mini.Dial()
	if err != nil {
		return fmt.Errorf("start embedded redis: %w", err)
	}
	_ = first.Close() // no use is made of it: it has no buffer
	standard.fit(mini)
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // it is closed
		}
		s.mini.Server().ServeConn(&framed{Conn: conn})
	}
}

// InMemory returns a server that has no socket: only the clients of [Server.Client] and
// [Server.NewClient] reach it, and [Server.Addr] is empty. Called inside a testing/synctest bubble,
// server and clients live on the bubble's clock; they must then be closed inside the bubble.
func InMemory() (*Server, error) {
	mini := miniredis.NewMiniRedis()
	if err := begin(mini); err != nil {
		return nil, err
	}
	return newServer(mini, ""), nil
}

func newServer(mini *miniredis.Miniredis, addr string) *Server {
	s := &Server{mini: mini, addr: addr, done: make(chan struct{})}
	s.client = s.NewClient()
	return s
}

// Addr returns the server's "host:port", or "" for one made by [InMemory]. It stays the same after Close.
func (s *Server) Addr() string { return s.addr }

// Client returns a client of this server, the same one at each call. The server owns it: do not close it.
func (s *Server) Client() *redis.Client { return s.client }

// NewClient returns another client with separate connections, as each replica of an application
// has. The server closes the client when it is closed, and the caller may close it earlier. After
// Close, NewClient returns a closed client.
func (s *Server) NewClient() *redis.Client {
	c := redis.NewClient(s.options())
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.clients = append(s.clients, c)
	}
	s.mu.Unlock()
	if closed {
		_ = c.Close() // it has no connections yet
	}
	return c
}

// options sends nothing that was not asked for, save the one HELLO with which every connection begins.
func (s *Server) options() *redis.Options {
	opt := &redis.Options{
		Addr:                     s.addr,
		PoolSize:                 poolSize,
		PipelinePoolSize:         -1, // pipelines share these connections instead of opening ten with larger buffers
		ConnMaxIdleTime:          -1, // hours pass quickly in a bubble; reconnecting would only add noise
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if s.addr == "" {
		opt.Addr = "in-memory" // shown in the client's messages, never dialled
		opt.DialerRetries = 1  // a connection fails only once the server is closed; a pause would outlive its bubble
		opt.Dialer = func(context.Context, string, string) (net.Conn, error) { return s.dial() }
	}
	return opt
}

// dial opens a connection in memory. It holds the mutex: a server that is closing waits for the connections it has, and
// must get no more.
func (s *Server) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	near, far := pipe()
	s.mini.Server().ServeConn(&framed{Conn: far})
	return near, nil
}

// Close closes all clients, then the server, and waits until every goroutine of both has ended. Closing again waits
// for the first call and returns nil.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	clients := s.clients
	s.clients = nil
	s.mu.Unlock()
	if !first {
		<-s.done
		return nil
	}
	defer close(s.done)

	// Clients go first: one that finds its server gone would dial again and log that it cannot.
	var errs []error
	for _, c := range clients {
		if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, fmt.Errorf("close client: %w", err))
		}
	}
	if s.listener != nil {
		errs = append(errs, s.listener.Close())
		s.accepting.Wait()
	}
	s.mini.Close()
	return errors.Join(errs...)
}
