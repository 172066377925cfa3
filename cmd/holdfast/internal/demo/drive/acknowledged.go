package drive

import (
	"context"
	"net/http"
	"sync"
)

// acknowledged holds what the cluster has acknowledged. It is safe for concurrent use.
type acknowledged struct {
	mu       sync.Mutex // guards what follows
	accounts map[string]*account
	owner    map[string]string // the session that a cookie was issued for
	retired  []*retired
	twice    int
	unread   int
}

// account is what is known of one session.
type account struct {
	cookie   string      // the newest that was issued for it
	added    int         // acknowledged adds
	unknown  int         // adds without an answer
	counts   map[int]int // how often each cart count was acknowledged
	ended    bool        // by an acknowledged logout
	doubtful bool        // by a login or logout without an answer
	found    int         // what the cart held in the end
}

// retired is a cookie that must not open its session any more.
type retired struct {
	cookie string
	logout bool // by a logout; otherwise by a login
	opened bool // it did
}

func newAcknowledged() *acknowledged {
	return &acknowledged{accounts: make(map[string]*account), owner: make(map[string]string)}
}

func (l *acknowledged) account(id string) *account {
	a := l.accounts[id]
	if a == nil {
		a = &account{counts: make(map[int]int)}
		l.accounts[id] = a
	}
	return a
}

// issued notes the cookie that came with an answer.
func (l *acknowledged) issued(a answer) {
	if a.set == "" || a.session == "" || a.outcome() != done {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account(a.session).cookie = a.set
	l.owner[a.set] = a.session
}

func (l *acknowledged) added(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	acc := l.account(a.session)
	acc.added++
	acc.counts[a.count]++
	if acc.counts[a.count] > 1 {
		l.twice++
	}
}

// unknownAdd notes an add without an answer. One that was sent without a cookie, or with one that has no owner, may have
// filled a cart that cannot be opened: there is nothing to compare.
func (l *acknowledged) unknownAdd(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.owner[a.sent]; ok {
		l.account(id).unknown++
	}
}

// unconfirmed notes a login or logout without an answer: whether the session's last known cookie still opens it is open.
func (l *acknowledged) unconfirmed(a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.owner[a.sent]; ok {
		l.account(id).doubtful = true
	}
}

// loggedIn returns the cookie that the login has replaced, nil if none.
func (l *acknowledged) loggedIn(a answer) *retired {
	return l.retire(a.sent, false)
}

// loggedOut closes the session's account with the count that the cart had when it was removed, and returns the cookie
// that ended with it. Adds that are acknowledged later but came before, by the session's lock, are in that count.
func (l *acknowledged) loggedOut(a answer) *retired {
	if a.session == "" {
		return nil // there was no session to log out
	}
	l.mu.Lock()
	acc := l.account(a.session)
	acc.ended, acc.found, acc.doubtful = true, a.count, false
	l.mu.Unlock()
	return l.retire(a.sent, true)
}

func (l *acknowledged) retire(cookie string, logout bool) *retired {
	if cookie == "" {
		return nil
	}
	r := &retired{cookie: cookie, logout: logout}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = append(l.retired, r)
	return r
}

func (l *acknowledged) replayed(r *retired, a answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.opened = r.opened || a.opened()
}

// lostSoFar counts the adds that were acknowledged with a number that another one had been given already.
func (l *acknowledged) lostSoFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.twice
}

// verify sends every old cookie once more and reads the carts that are left. It runs when all tabs have stopped.
func (l *acknowledged) verify(ctx context.Context, c *client) {
	read := func(path, cookie string) answer {
		a, _ := c.send(ctx, http.MethodGet, path, cookie, nil)
		if a.outcome() != done {
			l.unread++
		}
		return a
	}
	for _, r := range l.retired {
		for _, path := range []string{"/cart", "/badge"} {
			l.replayed(r, read(path, r.cookie))
		}
	}
	for id, acc := range l.accounts {
		if acc.ended {
			continue
		}
		if a := read("/cart", acc.cookie); a.session == id {
			acc.found, acc.doubtful = a.count, false
		}
	}
}

// Audit is the result of comparing what was acknowledged with what was found.
type Audit struct {
	Sessions   int
	Logouts    int // acknowledged, of a session that was there
	Logins     int // acknowledged, that replaced a cookie
	Added      int // acknowledged
	Unknown    int // without an answer, in carts that were compared
	Found      int // in the carts
	Lost       int // acknowledged and not found
	Surplus    int // found and never asked for
	Twice      int // acknowledged with a number that was taken
	Revived    int // logged-out sessions that an old cookie still opened
	OldToken   int // rotated cookies that still opened a session
	Unread     int // carts and old cookies that were asked for in the end, without an answer
	Unverified int // carts that no known cookie opens, after a login or logout without an answer
}

func (b Audit) balanced() bool {
	return b.Lost == 0 && b.Surplus == 0 && b.Twice == 0 && b.Revived == 0 && b.OldToken == 0 && b.Unread == 0
}

func (l *acknowledged) balance() Audit {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := Audit{Twice: l.twice, Unread: l.unread, Sessions: len(l.accounts)}
	for _, acc := range l.accounts {
		if acc.doubtful {
			b.Unverified++
			continue
		}
		b.Added += acc.added
		b.Unknown += acc.unknown
		b.Found += acc.found
		b.Lost += max(0, acc.added-acc.found)
		b.Surplus += max(0, acc.found-acc.added-acc.unknown)
	}
	for _, r := range l.retired {
		all, opened := &b.Logins, &b.OldToken
		if r.logout {
			all, opened = &b.Logouts, &b.Revived
		}
		*all++
		if r.opened {
			*opened++
		}
	}
	return b
}
