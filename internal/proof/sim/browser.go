package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
	"github.com/holdfast-go/holdfast/manager"
)

// browser is a client whose tabs share a session and its token.
type browser struct {
	cluster *cluster
	name    string
	home    int // the place that its requests go to by preference

	mu     sync.Mutex // guards what follows
	id     string     // of the session; empty if there is none
	token  string     // empty if the session has none: it was created by the server, for itself
	denied int        // times that this token was superseded
	begins bool       // a tab is creating a session
}

// tab is one of them. It does one thing after the other.
type tab struct {
	*browser
	name string
	rnd  *rand.Rand
}

// place is where the balancer sends a request: mostly to one node if it is sticky, so that locks are retained there.
func (t *tab) place() int {
	if t.rnd.Float64() < t.cluster.sticky {
		return t.home
	}
	return t.rnd.IntN(size)
}

// act does one thing on a node.
func (t *tab) act() {
	n := t.cluster.alive(t.place())
	if n == nil {
		return
	}
	t.mu.Lock()
	id, token, begins := t.id, t.token, t.id == "" && !t.begins
	t.begins = t.begins || begins
	t.mu.Unlock()
	if id == "" && !begins {
		return
	}
	j := &job{node: n, late: t.rnd.IntN(2) == 0}
	if t.rnd.IntN(3) == 0 {
		j.hold = upTo(t.rnd, 30*time.Millisecond)
	}
	if t.rnd.IntN(60) == 0 && !t.cluster.quick {
		j.hold = upTo(t.rnd, 2*t.cluster.cfg.LockTTL)
	}
	p := t.rnd.IntN(100)
	switch {
	case id == "":
		t.create(j, p)
	case p < 4 && token != "" && t.rotates():
		t.request(j, history.Rotate, id, token)
	case p < 5 || t.rnd.Float64() < t.cluster.removes:
		t.request(j, history.Remove, id, token)
	case p < 6:
		t.revoke(j, id)
	case p < 8 && !t.cluster.quick:
		t.merges(j)
		t.request(j, history.Set, id, token)
	case p < 38:
		t.request(j, history.Add, id, token)
	case p < 46:
		t.request(j, history.Set, id, token)
	case p < 70:
		t.request(j, history.View, id, token)
	default:
		t.request(j, history.Read, id, token)
	}
}

// rotates reports whether tokens are recorded. Those that RotateEvery replaces go on working, so they are not.
func (t *tab) rotates() bool { return t.cluster.cfg.RotateEvery == 0 }

// begin notes the operations of a request.
func (t *tab) begin(j *job, kind history.Kind, id, token string) {
	j.kind = kind
	registers := []string{first, second}
	if j.merge == nil && (kind == history.Add || kind == history.Set) {
		registers = registers[:1]
		if t.rnd.IntN(3) == 0 {
			registers[0] = second
		}
	}
	if !t.rotates() {
		token = ""
	}
	j.ops = make(map[string]*history.Op, len(registers))
	for _, r := range registers {
		session := ""
		if id != "" {
			session = id + "/" + r
		}
		j.ops[r] = t.cluster.history.Begin(t.name, kind, session, token)
	}
}

// run does the job on its node. If that is killed meanwhile, the client sees its connection end.
func (t *tab) run(j *job, do func(ctx context.Context)) (answered bool) {
	ctx, cancel := context.WithCancel(context.Background())
	if t.rnd.Float64() < t.cluster.leave {
		leave := time.AfterFunc(upTo(t.rnd, 50*time.Millisecond), cancel)
		defer leave.Stop()
	}
	done := make(chan struct{})
	t.cluster.wg.Go(func() {
		defer close(done)
		defer cancel()
		do(context.WithValue(ctx, jobKey{}, j))
	})
	select {
	case <-done:
		return true
	case <-j.node.dead:
		j.lose()
		return false
	}
}

var modes = []manager.Mode{
	manager.Exclusive, manager.Exclusive, manager.Exclusive, manager.Lazy, manager.Optimistic, manager.Optimistic,
}

// request makes an HTTP request, or the call of the server that does the same.
func (t *tab) request(j *job, kind history.Kind, id, token string) {
	mode := modes[t.rnd.IntN(len(modes))]
	if kind == history.View {
		mode = manager.ReadOnly
		if token == "" {
			kind = history.Read
		}
	}
	byID := token == "" || kind != history.View && kind != history.Rotate && t.rnd.IntN(8) == 0
	if byID {
		t.begin(j, kind, id, "")
		if t.run(j, func(ctx context.Context) { j.fail(t.byID(ctx, j, id)) }) {
			t.learn(id, token, j.end(""), "")
		}
		return
	}
	t.begin(j, kind, id, token)
	var issued string
	method := []string{http.MethodGet, http.MethodPost}[t.rnd.IntN(2)]
	if t.run(j, func(ctx context.Context) { issued = visit(ctx, j.node.serve[mode], method, token) }) {
		t.learn(id, token, j.end(issued), issued)
	}
}

// byID is a call of the server for itself.
func (t *tab) byID(ctx context.Context, j *job, id string) error {
	do := func(s *manager.Session) error { j.handle(s); return nil }
	if j.kind == history.Read {
		return j.node.manager.View(ctx, id, do)
	}
	return j.node.manager.Update(ctx, id, do)
}

// create begins a session.
func (t *tab) create(j *job, p int) {
	t.begin(j, history.Create, "", "")
	var issued string
	server := p < 15
	answered := t.run(j, func(ctx context.Context) {
		if server {
			_, err := j.node.manager.Create(ctx, func(s *manager.Session) error { j.handle(s); return nil })
			j.fail(err)
			return
		}
		issued = visit(ctx, j.node.serve[modes[p%len(modes)]], http.MethodPost, "")
	})
	created := answered && j.end(issued) == history.OK
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begins = false
	if created {
		t.id, t.token, t.denied = j.created, issued, 0
	}
}

// revoke ends the session from outside of any request, or all sessions of its user.
func (t *tab) revoke(j *job, id string) {
	t.begin(j, history.Remove, id, "")
	byUser := t.rnd.IntN(2) == 0
	j.changing = true
	if t.run(j, func(ctx context.Context) {
		var err error
		if byUser {
			_, err = j.node.manager.RevokeUser(ctx, user(id))
		} else {
			_, err = j.node.manager.Revoke(ctx, id)
		}
		j.fail(err)
	}) {
		t.learn(id, "", j.end(""), "")
	}
}

// learn does what a browser does with an answer.
func (t *tab) learn(id, token string, o history.Outcome, issued string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.id != id {
		return
	}
	switch {
	case issued != "":
		t.token, t.denied = issued, 0
	case o == history.Absent && (token == "" || token == t.token):
		t.id, t.token = "", ""
	case o == history.Superseded && token == t.token:
		if t.denied++; t.denied > 2 { // the answer with the new token was lost: the user logs in again
			t.id, t.token = "", ""
		}
	}
}

// visit makes a request without a network and returns the token that the response brings, if any. The tests of package manager
// have one that returns the response, too.
func visit(ctx context.Context, h http.Handler, method, token string) (issued string) {
	r := httptest.NewRequestWithContext(ctx, method, "/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: token})
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	res := rec.Result()
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "session" && c.MaxAge >= 0 {
			issued = c.Value
		}
	}
	return issued
}

func (b *browser) tab(i int, seed uint64) *tab {
	name := fmt.Sprintf("%s tab %d", b.name, i)
	return &tab{browser: b, name: name, rnd: rand.New(rand.NewPCG(seed, 1<<32|uint64(i)))}
}
