package console_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/console"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/manager"
)

// stream reads events until one has all the texts.
func (d *desk) stream(part string, texts ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.root+"events?part="+part, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set(operator, "olga")
	if d.cookie != nil {
		r.AddCookie(d.cookie)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		d.t.Fatalf("a stream of %s", got)
	}
	var event strings.Builder
	last := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if line, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			event.WriteString(line + "\n")
			continue
		}
		last = event.String()
		event.Reset()
		found := 0
		for _, text := range texts {
			if strings.Contains(last, text) {
				found++
			}
		}
		if found == len(texts) {
			return
		}
	}
	d.t.Fatalf("no event has %q; the last was\n%s", texts, last)
}

func TestOverview(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for i := range 30 {
		d.login([]string{"", "bob"}[i%2], "x")
	}
	has(t, d.get(""), "Overview", "counting")
	d.stream("overview", "<dd>30</dd>", "<dd>15</dd>", "15 logins in 5 minutes", "heard in the last 5 s", "<polyline points=\"2")
	// What was read is there for the next page.
	has(t, d.get(""), "<dd>30</dd>")
}

func TestLocks(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.login("bob", "x")
	locker := func() *lock.Locker {
		l, err := lock.New(d.rdb, &lock.Config{Prefix: d.prefix, Node: keys.NewNode()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close(context.Background()) })
		return l
	}
	lease, err := locker().Acquire(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lease.Release(context.Background()) }()
	waiting, stop := context.WithCancel(t.Context())
	gone := make(chan struct{})
	second := locker()
	go func() {
		defer close(gone)
		if l, err := second.Acquire(waiting, id); err == nil {
			_ = l.Release(context.Background())
		}
	}()
	defer func() { stop(); <-gone }()
	d.stream("lock&id="+id, "asked", "<ol class=\"queue\"><li>")
	d.stream("locks", "session?id="+id, "1 lock held, 1 replica waiting", "<ol class=\"queue\"><li>")
	token := d.rdb.Get(t.Context(), keys.In(d.prefix).Of(id).Lock).Val()
	for _, path := range []string{"locks", "session?id=" + id} {
		page := d.get(path)
		node, _ := keys.ParseLockToken(token)
		has(t, page, node)
		lacks(t, page, token)
	}
}

// Over many sessions each page asks Redis for little at a time, and shows every session once.
func TestManySessions(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	b := redistest.At(srv.Addr())
	rdb := srv.Client(t)
	m, err := manager.New(rdb, &manager.Config{Insecure: true, IdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	id, err := m.Create(t.Context(), func(s *manager.Session) error { note.Set(s, "x"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 3000
	space := keys.In("")
	pipe := rdb.Pipeline()
	for i := range n - 1 {
		copied := strings.Repeat("A", keys.IDLen-5) + fmt.Sprintf("%05d", i)
		pipe.Do(t.Context(), "COPY", space.Of(id).Record, space.Of(copied).Record)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	tap := b.Tap(t)
	d := newDesk(t)
	page, err := console.New(b.TapClient(t, tap), &console.Config{Authorize: authorize})
	if err != nil {
		t.Fatal(err)
	}
	d.serve(page)
	seen := map[string]int{}
	for at := "sessions"; at != ""; {
		body := d.get(at)
		at = ""
		rows := 0
		for _, link := range linksOf(body) {
			if id, ok := strings.CutPrefix(link, "session?id="); ok {
				seen[id]++
				rows++
			}
			if strings.HasPrefix(link, "sessions?from=") {
				at = link
			}
		}
		if rows > 200 {
			t.Errorf("a page of %d rows", rows)
		}
	}
	if len(seen) != n {
		t.Errorf("%d sessions were listed, want %d", len(seen), n)
	}
	has(t, d.get("sessions?order=newest"), "keys</span>", "The newest sessions")
	d.stream("overview", "<dd>3,000</dd>")
	for _, m := range scans.FindAllSubmatch(tap.Sent(), -1) {
		if count, _ := strconv.Atoi(string(m[1])); count < 1 || count > 500 {
			t.Errorf("a step of SCAN looks at %s keys", m[1])
		}
	}
	for _, trip := range tap.Commands() {
		if len(trip) > 2*250+10 {
			t.Errorf("a pipeline of %d commands", len(trip))
		}
		for _, command := range trip {
			switch command {
			case "KEYS", "HGETALL", "HVALS", "SMEMBERS", "FLUSHALL", "DEBUG":
				t.Errorf("the console sends %s", command)
			}
		}
	}
}

var scans = regexp.MustCompile(`(?i)\r\ncount\r\n\$[0-9]+\r\n([0-9]+)\r\n`)

// The console works inside the middleware of the sessions that it shows, also where it streams.
func TestInsideTheMiddleware(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, token := d.login("root", "x")
	page, err := console.New(d.rdb, &console.Config{Prefix: d.prefix, Authorize: func(r *http.Request) (who string, ok bool) {
		who = d.app.Session(r.Context()).User()
		return who, who == "root"
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.serve(d.app.ReadOnly(page))
	if a := d.do(http.MethodGet, "sessions"); a.status != http.StatusForbidden {
		t.Errorf("a stranger: status %d", a.status)
	}
	d.cookie = &http.Cookie{Name: "session", Value: token}
	has(t, d.get("session?id="+id), "root")
	has(t, d.get("sessions?order=newest"), id)
	d.stream("overview", "<dd>1</dd>")
}

// pieces keeps what a handler writes, piece by piece.
type pieces struct {
	*httptest.ResponseRecorder
	written []string
}

func (p *pieces) Write(b []byte) (int, error) {
	p.written = append(p.written, string(b))
	return p.ResponseRecorder.Write(b)
}

// A table that arrives in several pieces moves while it is drawn.
func TestTableOfAScanComesInOnePiece(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for range 50 {
		d.login("ada", "x")
	}
	page, err := console.New(d.rdb, &console.Config{Prefix: d.prefix, Authorize: authorize})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/sessions?order=newest", nil)
	r.Header.Set(operator, "olga")
	w := &pieces{ResponseRecorder: httptest.NewRecorder()}
	page.ServeHTTP(w, r)
	if !slices.ContainsFunc(w.written, func(s string) bool { return strings.Contains(s, "<table") && strings.Contains(s, "</table>") }) {
		t.Errorf("status %d in %d pieces, none with the table", w.Code, len(w.written))
	}
}
