package drive

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

// kind says what a request was for.
type kind string

const (
	kindAdd    kind = "add to cart"
	kindPage   kind = "page"
	kindBadge  kind = "badge"
	kindLogin  kind = "login, logout"
	kindReplay kind = "old cookie"
)

// The first tab of each browser is where its user logs in and out, at these points of every cycle. The other tabs go
// on clicking meanwhile.
const (
	cycle    = 30
	loginAt  = 8
	logoutAt = 24
)

// attempts is how often a refused click is repeated. The pauses between them add up to about five seconds.
const attempts = 60

// tab is one tab of a browser: it makes one request after the other.
type tab struct {
	browser      *browser
	acknowledged *acknowledged
	counters     *counters
	first        bool
	random       *rand.Rand
}

// act does what a user does next. The context is not that of the request: what was begun is ended.
func (t *tab) act(ctx context.Context, i int) {
	switch {
	case t.first && i%cycle == loginAt:
		t.login(ctx)
	case t.first && i%cycle == logoutAt:
		t.logout(ctx)
	default:
		switch d := t.random.IntN(100); {
		case d < 50:
			t.add(ctx)
		case d < 85:
			t.send(ctx, kindBadge, http.MethodGet, "/badge", nil)
		default:
			t.send(ctx, kindPage, http.MethodGet, "/", nil)
		}
	}
}

func (t *tab) add(ctx context.Context) {
	p := shop.Catalog[t.random.IntN(len(shop.Catalog))]
	switch a := t.click(ctx, kindAdd, "/cart/"+p.SKU, nil); a.outcome() {
	case done:
		t.acknowledged.added(a)
	case unknown:
		t.acknowledged.unknownAdd(a)
	}
}

func (t *tab) login(ctx context.Context) {
	switch a := t.click(ctx, kindLogin, "/login", url.Values{"user": {t.browser.user}}); a.outcome() {
	case done:
		t.replay(ctx, t.acknowledged.loggedIn(a))
	case unknown:
		// If it was done, the new cookie is lost and the old one opens nothing any more.
		t.acknowledged.unconfirmed(a)
		t.browser.forget()
	}
}

func (t *tab) logout(ctx context.Context) {
	switch a := t.click(ctx, kindLogin, "/logout", nil); a.outcome() {
	case done:
		t.replay(ctx, t.acknowledged.loggedOut(a))
	case unknown:
		t.acknowledged.unconfirmed(a)
		t.browser.forget()
	}
}

// click posts, and posts again with the cookie that is current then as long as the cluster answers that nothing was
// done.
func (t *tab) click(ctx context.Context, k kind, path string, form url.Values) answer {
	pause := 2 * time.Millisecond
	for attempt := 1; ; attempt++ {
		a := t.send(ctx, k, http.MethodPost, path, form)
		if a.outcome() != refused {
			return a
		}
		if attempt == attempts || !sleep(ctx, pause) {
			t.counters.givenUp()
			return a
		}
		t.counters.retried()
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// replay sends a cookie that is no longer valid, as a thief with a copy of it would, and tells the acknowledged what it
// opened.
func (t *tab) replay(ctx context.Context, old *retired) {
	if old == nil {
		return
	}
	a, _ := t.browser.client.send(context.WithoutCancel(ctx), http.MethodGet, "/cart", old.cookie, nil)
	t.counters.record(kindReplay, a)
	t.acknowledged.replayed(old, a)
}

func (t *tab) send(ctx context.Context, k kind, method, path string, form url.Values) answer {
	a := t.browser.send(context.WithoutCancel(ctx), method, path, form)
	t.counters.record(k, a)
	return a
}

// sleep returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
