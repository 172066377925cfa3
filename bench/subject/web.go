package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Serve puts a node behind a real HTTP server on loopback and returns a node
// that reaches it as a browser would: each operation is a whole request over a
// kept-alive connection. Tokens are then cookies, "name=value".
//
// conns is how many connections the client keeps. Closing the returned node
// closes the server and the node given.
func Serve(ctx context.Context, inner Node, conns int) (Node, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	n := &webNode{
		inner:     inner,
		server:    &http.Server{Handler: inner.Handler(), ReadHeaderTimeout: time.Minute},
		transport: &http.Transport{MaxIdleConns: conns, MaxIdleConnsPerHost: conns, DisableCompression: true},
		url:       "http://" + listener.Addr().String() + "/",
		done:      make(chan error, 1),
	}
	n.client = &http.Client{Transport: n.transport}
	go func() { n.done <- n.server.Serve(listener) }()
	return n, nil
}

type webNode struct {
	inner     Node
	server    *http.Server
	transport *http.Transport
	client    *http.Client
	url       string
	done      chan error // what the server ended with
}

var _ Node = (*webNode)(nil)

func (n *webNode) Create(ctx context.Context, filler string) (string, error) {
	res, err := n.send(ctx, http.MethodPut, n.url, "", strings.NewReader(filler))
	if err != nil {
		return "", err
	}
	if _, err := answer(res); err != nil {
		return "", err
	}
	cookies := res.Cookies()
	if len(cookies) != 1 {
		return "", fmt.Errorf("created a session and got %d cookies", len(cookies))
	}
	return cookies[0].Name + "=" + cookies[0].Value, nil
}

func (n *webNode) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	url := n.url
	if hold > 0 {
		url += "?" + holdParam + "=" + hold.String()
	}
	return n.ask(ctx, http.MethodPost, url, token)
}

func (n *webNode) Read(ctx context.Context, token string) (int64, error) {
	return n.ask(ctx, http.MethodGet, n.url, token)
}

func (n *webNode) Remove(ctx context.Context, token string) error {
	_, err := n.ask(ctx, http.MethodDelete, n.url, token)
	return err
}

func (n *webNode) Revoke(ctx context.Context, token string) error {
	_, value, _ := strings.Cut(token, "=")
	return n.inner.Revoke(ctx, value)
}

func (n *webNode) Handler() http.Handler { return n.server.Handler }

func (n *webNode) Close() error {
	n.transport.CloseIdleConnections()
	err := n.server.Close()
	if served := <-n.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, n.inner.Close())
}

func (n *webNode) ask(ctx context.Context, method, url, token string) (int64, error) {
	res, err := n.send(ctx, method, url, token, nil)
	if err != nil {
		return 0, err
	}
	return answer(res)
}

func (n *webNode) send(ctx context.Context, method, url, token string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, body) //nolint:gosec // a server of our own on loopback
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if token != "" {
		r.Header.Set("Cookie", token)
	}
	res, err := n.client.Do(r) //nolint:gosec // as above
	if err != nil {
		return nil, fmt.Errorf("send request: %w", err)
	}
	return res, nil
}

// answer reads the counter from a response and closes it.
func answer(res *http.Response) (int64, error) {
	body, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("read response: %w", err)
	case res.StatusCode == http.StatusNotFound:
		return 0, ErrAbsent
	case res.StatusCode != http.StatusOK:
		return 0, fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read response: %w", err)
	}
	return n, nil
}
