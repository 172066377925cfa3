package live

import (
	"cmp"
	"net/http"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/demo/shop"
)

// maxAudited bounds how many sessions are kept account of.
const maxAudited = 1000

// account is what browsers were told of one session.
type account struct {
	Acknowledged int    `json:"acknowledged"` // adds that were answered as done
	Refused      int    `json:"refused"`      // adds that certainly were not done
	Unanswered   int    `json:"unanswered"`   // adds that may have been done
	Cookie       string `json:"cookie"`       // name and attributes of the last one, without its value
	Cookies      int    `json:"cookies"`      // how many were issued
}

// audit keeps accounts where answers leave the cluster, so they hold what browsers know. It is safe for concurrent use.
type audit struct {
	mu  sync.Mutex // guards what follows
	all *simplelru.LRU[string, *account]
}

func newAudit() *audit {
	all, _ := simplelru.NewLRU[string, *account](maxAudited, nil) // fails for sizes below 1 only
	return &audit{all: all}
}

// of returns a copy of a session's account.
func (b *audit) of(session string) account {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.all.Get(session); ok {
		return *k
	}
	return account{}
}

func (b *audit) change(session string, do func(*account)) {
	if session == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k, ok := b.all.Get(session)
	if !ok {
		k = &account{}
		b.all.Add(session, k)
	}
	do(k)
}

// follow passes a request on and records its answer. The request tells in a header which session it means, for the case
// that no answer comes.
func (b *audit) follow(next http.Handler, w http.ResponseWriter, r *http.Request) {
	add := r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/cart/")
	e := &entry{ResponseWriter: w, audit: b, add: add, session: r.Header.Get(shop.HeaderSession)}
	defer func() {
		if !add || e.outcome == acknowledged && r.Context().Err() == nil {
			return
		}
		b.change(e.session, func(k *account) {
			switch e.outcome {
			case refused:
				k.Refused++
			case acknowledged:
				k.Acknowledged-- // the browser had left when it was sent
				k.Unanswered++
			case unanswered:
				k.Unanswered++
			}
		})
	}()
	next.ServeHTTP(e, r)
}

type outcome int

const (
	unanswered outcome = iota
	acknowledged
	refused
)

// entry records an answer while it passes.
type entry struct {
	http.ResponseWriter
	audit   *audit
	add     bool
	session string
	outcome outcome
}

func (e *entry) WriteHeader(status int) {
	if status >= 200 {
		e.record(status, e.Header())
	}
	e.ResponseWriter.WriteHeader(status)
}

// record records an acknowledged add before it is sent, so that the audit is never behind what a browser knows.
func (e *entry) record(status int, h http.Header) {
	e.session = cmp.Or(h.Get(shop.HeaderSession), e.session)
	switch {
	case status < 400:
		e.outcome = acknowledged
	case status < 500, status == http.StatusServiceUnavailable && h.Get("Retry-After") != "":
		e.outcome = refused
	}
	e.audit.change(e.session, func(k *account) {
		if e.add && e.outcome == acknowledged {
			k.Acknowledged++
		}
		for _, line := range h.Values("Set-Cookie") {
			k.Cookie, k.Cookies = describe(line), k.Cookies+1
		}
	})
}

// Unwrap leads http.ResponseController to the writer below.
func (e *entry) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// describe returns a cookie's name and those of its attributes that protect it, without its value.
func describe(line string) string {
	c, err := http.ParseSetCookie(line)
	if err != nil {
		return ""
	}
	parts := []string{c.Name}
	if c.Secure {
		parts = append(parts, "Secure")
	}
	if c.HttpOnly {
		parts = append(parts, "HttpOnly")
	}
	switch c.SameSite {
	case http.SameSiteLaxMode:
		parts = append(parts, "SameSite=Lax")
	case http.SameSiteStrictMode:
		parts = append(parts, "SameSite=Strict")
	}
	return strings.Join(append(parts, "Path="+c.Path), "; ")
}
