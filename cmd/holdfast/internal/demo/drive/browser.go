package drive

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

// outcome is what a client knows about its request.
type outcome int

const (
	done    outcome = iota // acknowledged
	refused                // certainly not done
	unknown                // perhaps done
)

// answer is what the audit needs of a response. A cookie is kept in the form of the Cookie header, "name=value".
type answer struct {
	status  int    // 0 when there was no response
	retry   bool   // the response invites to try again
	sent    string // the cookie that went with the request
	set     string // the cookie that came with the response, "" when none did
	session string
	user    string
	count   int
	wait    time.Duration // inside the replica, for the session
	took    time.Duration // as the client saw it
}

func (a answer) outcome() outcome {
	switch {
	case a.status >= 200 && a.status < 400:
		return done
	case a.status >= 400 && a.status < 500:
		return refused
	case a.status == http.StatusServiceUnavailable && a.retry:
		return refused
	default:
		return unknown // a 503 that does not invite to try again tells that a commit got no answer
	}
}

// opened tells whether the request found a session.
func (a answer) opened() bool { return a.session != "" || a.user != "" || a.count > 0 }

// client sends single requests to the cluster. It follows no redirects and keeps no cookies.
type client struct {
	http *http.Client
	base *url.URL
}

func newClient(base string, connections int) (*client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("read the cluster's URL: %w", err)
	}
	return &client{
		base: u,
		http: &http.Client{
			Timeout:       30 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// send makes one request with the given cookie. A request that got no response has status 0.
func (c *client) send(ctx context.Context, method, path, cookie string, form url.Values) (answer, []*http.Cookie) {
	a := answer{sent: cookie}
	target := c.base.JoinPath(path).String()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return a, nil
	}
	if len(form) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		a.took = time.Since(start)
		return a, nil
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	a.took = time.Since(start)
	if err != nil {
		return a, nil
	}
	a.status = resp.StatusCode
	a.retry = resp.Header.Get("Retry-After") != ""
	a.session = resp.Header.Get(shop.HeaderSession)
	a.user = resp.Header.Get(shop.HeaderUser)
	a.count, _ = strconv.Atoi(resp.Header.Get(shop.HeaderCount))
	micros, _ := strconv.ParseInt(resp.Header.Get(shop.HeaderWait), 10, 64)
	a.wait = time.Duration(micros) * time.Microsecond
	cookies := resp.Cookies()
	for _, k := range cookies {
		if k.Value != "" && k.MaxAge >= 0 {
			a.set = k.Name + "=" + k.Value
		}
	}
	return a, cookies
}

// browser is a cookie jar that several tabs share. As in a real browser, a request carries the cookie that is current
// when it is sent, and the response that arrives last decides which cookie that is.
type browser struct {
	client       *client
	user         string
	jar          http.CookieJar
	acknowledged *acknowledged
}

func (b *browser) send(ctx context.Context, method, path string, form url.Values) answer {
	var current []string
	for _, k := range b.jar.Cookies(b.client.base) {
		current = append(current, k.Name+"="+k.Value)
	}
	a, cookies := b.client.send(ctx, method, path, strings.Join(current, "; "), form)
	// The audit comes first: once the cookie is in the jar, another tab may use it and have it replaced.
	b.acknowledged.issued(a)
	b.jar.SetCookies(b.client.base, cookies)
	return a
}

// forget empties the jar, as a user does who cannot get on otherwise.
func (b *browser) forget() {
	expired := b.jar.Cookies(b.client.base)
	for _, k := range expired {
		k.MaxAge, k.Path = -1, "/"
	}
	b.jar.SetCookies(b.client.base, expired)
}
