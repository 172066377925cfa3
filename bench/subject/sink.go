package subject

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// sink is the least a handler can be called with in process: it keeps the
// header and the status, and of the body what tells of a refusal.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func newSink() *sink { return &sink{header: make(http.Header, 4)} }

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) {
	if s.status == 0 {
		s.status = status
	}
}

func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.status != http.StatusOK {
		s.body = append(s.body, p...)
	}
	return len(p), nil
}

// refusal is the error that a status other than 200 stands for.
func (s *sink) refusal() error {
	if s.status == 0 || s.status == http.StatusOK {
		return nil
	}
	return fmt.Errorf("status %d: %s", s.status, bytes.TrimSpace(s.body))
}

// reset makes the sink ready for the next request.
func (s *sink) reset() {
	clear(s.header)
	s.status, s.body = 0, s.body[:0]
}

var rootURL = &url.URL{Path: "/"}

// bareRequest is a GET with the session's cookie, as the server's parser would
// have made it. An empty cookie sends none.
func bareRequest(ctx context.Context, token string) *http.Request {
	header := make(http.Header, 1)
	if token != "" {
		header["Cookie"] = []string{sessionCookie + "=" + token}
	}
	r := &http.Request{Method: http.MethodGet, URL: rootURL, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, Host: "localhost"}
	return r.WithContext(ctx)
}
