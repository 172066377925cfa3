package load

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/faults/replica"
	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// pause keeps a client from asking again at once when it was refused.
const pause = 20 * time.Millisecond

// enough is how often in a row a tab must hear that there is no session before it believes it.
const enough = 3

// person has one session and one cookie jar for all tabs.
type person struct {
	load    *Load
	session string      // its ID
	removed atomic.Bool // by one of the tabs
	gone    atomic.Bool // a tab believes so

	mu    sync.Mutex // guards token
	token string
}

// begin opens the session.
func (p *person) begin(who string) bool {
	op := p.load.cfg.History.Begin(who, history.Create, "", "")
	resp, out := p.load.do(op, replica.Request{Mode: "exclusive", Kind: history.Create})
	if out != history.OK || resp.Token == "" {
		p.wait()
		return false
	}
	p.token = resp.Token
	p.session, _, _ = strings.Cut(resp.Token, ".")
	p.load.sessions.Add(1)
	return true
}

func (p *person) wait() {
	select {
	case <-time.After(pause):
	case <-p.load.ctx.Done():
	}
}

func (p *person) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}

// tab makes its requests one after the other. One of them, towards the end, ends the session; the others go on and must
// not bring it back.
func (p *person) tab(name string) {
	missing := 0
	for made := 0; made < p.load.cfg.Requests && p.load.ctx.Err() == nil; {
		q := p.choose(made)
		q.Token = p.shown()
		op := p.load.cfg.History.Begin(name, q.Kind, p.session, q.Token)
		resp, out := p.load.do(op, q)
		if resp.Token != "" {
			p.mu.Lock()
			p.token = resp.Token
			p.mu.Unlock()
		}
		if out != history.Refused || resp.Error == "conflict" { // others are asked for again, so that sessions outlast faults
			made++
		}
		switch out {
		case history.OK:
			missing = 0
			if q.Kind == history.Remove && !p.removed.Swap(true) {
				p.load.removed.Add(1)
			}
		case history.Absent:
			if missing++; missing == enough {
				p.gone.Store(true)
				return
			}
		default:
			p.wait()
		}
	}
}

// choose decides about the next request.
func (p *person) choose(made int) replica.Request {
	q := replica.Request{Mode: "exclusive"}
	switch rand.N(4) {
	case 0:
		q.Mode = "optimistic"
	case 1:
		q.Mode = "lazy"
	}
	if rand.N(10) == 0 {
		q.Hold = (time.Duration(rand.N(5)) * time.Millisecond).String()
	}
	ending := 40 // percent, of the last requests
	if p.load.cfg.Population > 0 {
		ending = 5 // most sessions see many visits
	}
	switch n := rand.N(100); {
	case n < ending && made >= p.load.cfg.Requests-2:
		q.Kind = history.Remove
	case n < 45:
		q.Kind = history.Add
	case n < 55:
		q.Kind, q.Blind = history.Set, n%2 == 0
	case n < 70:
		q.Kind = history.Read
	case n < 95:
		q.Kind, q.Mode = history.View, "readonly"
	default:
		q.Kind = history.Rotate
	}
	return q
}
