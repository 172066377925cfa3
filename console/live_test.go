package console_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/console"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/lock"
	"github.com/holdfast-go/holdfast/manager"
)

// stream reads events until one has all the texts. It connects again when a stream has ended, as browsers do.
func (d *desk) stream(part string, texts ...string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Minute)
	defer cancel()
	for last, found := "", false; !found; {
		if last, found = d.streamOnce(ctx, part, texts); ctx.Err() != nil && !found {
			d.t.Fatalf("no event has %q; the last was\n%s", texts, last)
		}
	}
}

func (d *desk) streamOnce(ctx context.Context, part string, texts []string) (last string, found bool) {
	d.t.Helper()
	resp, err := d.client.Do(d.request(ctx, http.MethodGet, d.root+"events?part="+part))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		d.t.Fatalf("a stream of %s", got)
	}
	var event strings.Builder
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if line, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			event.WriteString(line + "\n")
			continue
		}
		last = event.String()
		event.Reset()
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(last, text) }) {
			return last, true
		}
	}
	return last, false
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
		l, err := lock.New(d.rdb, &lock.Config{Prefix: d.prefix, Node: keys.NewNode(), TTL: 30 * time.Second, Wait: 2 * time.Minute})
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

// populate creates n sessions under the default prefix, in an empty Redis.
func populate(t *testing.T, rdb *redis.Client, n int) {
	t.Helper()
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
	space := keys.In("")
	born, err := keysOf(rdb.HGet(t.Context(), space.Of(id).Record, "c").Val())
	if err != nil {
		t.Fatal(err)
	}
	pipe := rdb.Pipeline()
	for i := range n - 1 {
		copied := space.Of(strings.Repeat("A", keys.IDLen-5) + fmt.Sprintf("%05d", i)).Record
		pipe.Do(t.Context(), "COPY", space.Of(id).Record, copied)
		pipe.HSet(t.Context(), copied, "c", born-int64(i)*1000)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Over many sessions each page asks Redis for little at a time, and shows every session once.
func TestManySessions(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	b := redistest.At(srv.Addr())
	const n = 3000
	populate(t, srv.Client(t), n)
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
	has(t, d.get("sessions?order=newest"), "keys so far</span>", "The newest sessions")
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

// steps counts the steps of SCAN that a client asks for, and lets one of them fail.
type steps struct{ n, fails int }

func (s *steps) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *steps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *steps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "scan" {
			if s.n++; s.n == s.fails {
				cmd.SetErr(errors.New("LOADING the test lets it fail"))
				return cmd.Err()
			}
		}
		return next(ctx, cmd)
	}
}

// pieces keeps what a handler writes, piece by piece, and how many steps of SCAN it had made then.
type pieces struct {
	*httptest.ResponseRecorder
	scan    *steps
	written []string
	at      []int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.written, p.at = append(p.written, string(b)), append(p.at, p.scan.n)
	return p.ResponseRecorder.Write(b)
}

// newest asks a console for the newest sessions.
func newest(t *testing.T, rdb *redis.Client, scan *steps) *pieces {
	t.Helper()
	rdb.AddHook(scan)
	page, err := console.New(rdb, &console.Config{Authorize: authorize, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/sessions?order=newest", nil)
	r.Header.Set(operator, "olga")
	w := &pieces{ResponseRecorder: httptest.NewRecorder(), scan: scan}
	page.ServeHTTP(w, r)
	return w
}

// A list in an order shows the first rows after the first step of the scan, and better ones while it goes on. Each table
// comes in one piece, since one that arrives in several moves while it is drawn, and there are few of them.
func TestRowsSoFar(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	populate(t, srv.Client(t), 6000)
	scan := &steps{}
	w := newest(t, srv.Client(t), scan)
	var at []int
	var most string
	for i, piece := range w.written {
		if !strings.Contains(piece, "<table") {
			continue
		}
		at = append(at, w.at[i])
		if rows := strings.Count(piece, "<tr><td>"); rows != 50 || !strings.Contains(piece, "</table>") {
			t.Errorf("after %d steps: %d rows in one piece", w.at[i], rows)
		}
		times := created.FindAllStringSubmatch(piece, -1)
		if first := times[0][1]; first < most {
			t.Errorf("after %d steps the newest session is of %s, before it was of %s", w.at[i], first, most)
		}
		most = times[0][1]
		if !slices.IsSortedFunc(times, func(a, b []string) int { return strings.Compare(b[1], a[1]) }) {
			t.Errorf("after %d steps the rows are in no order", w.at[i])
		}
	}
	if want := []int{1, 4, 16, scan.n}; !slices.Equal(at, want) || scan.n < 20 {
		t.Errorf("tables came after %v steps of the scan, want %v", at, want)
	}
	for _, piece := range w.written[1 : len(w.written)-1] {
		has(t, piece, "<progress", " of 6,000 keys so far")
	}
	has(t, w.written[0], `role="status"`)
	has(t, w.written[len(w.written)-1], "The newest sessions", "</html>")
}

var created = regexp.MustCompile(`datetime="([^"]+)"`)

// A scan that fails shows what it had found.
func TestScanThatFails(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	populate(t, srv.Client(t), 1000)
	w := newest(t, srv.Client(t), &steps{fails: 3})
	last := w.written[len(w.written)-1]
	has(t, last, "The scan ended early, so the list is incomplete.", "<table", "</html>")
	lacks(t, last, "The newest sessions")
}
