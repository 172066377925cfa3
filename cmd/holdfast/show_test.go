package main

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
	"github.com/holdfast-go/holdfast/manager"
)

// shown is an output of show without what differs from run to run.
func shown(out, id string) string {
	out = strings.ReplaceAll(out, id, "ID") // first: what is random may look like any of these
	for _, r := range []struct{ pattern, with string }{
		{`on 1: \S+`, "on 1: NODE"},
		{`by \S+, asked`, "by NODE, asked"},
		{`\d\. \S+ waits`, "N. NODE waits"},
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, [0-9a-z.]+ ago`, "DATE"},
		{`\b\d+h\d\dm|\b\d+m\d\ds|\b[0-9.]+m?s\b`, "AGE"},
		{`version     \d\.\S+`, "version     VERSION"},
		{`memory      \S+`, "memory      SIZE"},
	} {
		out = regexp.MustCompile(r.pattern).ReplaceAllString(out, r.with)
	}
	return out
}

// contended is a session of a user, with values of its own and of a child. A request holds it, the node of that request has a
// copy of it, and a request of another node waits for it.
type contended struct {
	*app
	id      string
	secrets []string // which no output may show
	record  string   // its key
}

// newContended makes one. Its values have spaces, so that what is random is never taken for one of them.
func newContended(t *testing.T) *contended {
	t.Helper()
	a := newApp(t)
	ctx, err := a.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s := a.Session(ctx)
	s.BindUser("bob")
	name.Set(s, "Bob the Builder\x1b[2J")
	note.SetFor(s, "due soon", 10*time.Minute)
	child, err := s.Child("form")
	if err != nil {
		t.Fatal(err)
	}
	note.Set(child, "a draft")
	token, _, err := a.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(token, ".")
	c := &contended{app: a, id: s.ID(), record: keys.In(a.args[3]).Of(s.ID()).Record}
	c.secrets = []string{secret, a.rdb.HGet(t.Context(), c.record, "h").Val()}
	read(t, a.Manager, token)
	held, err := a.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Discard(held) })
	c.startWaiting(t, token)
	return c
}

// startWaiting has a request of another node wait for the session until the end of the test.
func (c *contended) startWaiting(t *testing.T, token string) {
	t.Helper()
	other := newReplica(t, c.rdb, c.args[3])
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := other.Load(ctx, token)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err == nil {
			t.Error("two hold the session")
		}
	})
	wait.Until(t, "waiting", func() bool { return strings.Contains(c.must(t, "show", c.id), "waits") })
}

const shownContended = `session     ID
user        bob
created     DATE
last seen   DATE
ends        in AGE, if it is not used until then (idle timeout AGE)
deadline    in AGE, used or not
version     VERSION
memory      SIZE
copies      on 1: NODE
lock        held by NODE, asked AGE ago; ends in AGE unless renewed
            N. NODE waits, asked AGE ago

KEY                         SIZE  EXPIRES    VALUE
form/note                      9  -          text
name                          26  -          text
note                          10  in AGE   text
`

func TestShow(t *testing.T) {
	t.Parallel()
	c := newContended(t)
	before := c.rdb.HGetAll(t.Context(), c.record).Val()
	out := c.must(t, "show", c.id)
	if got := shown(out, c.id); got != shownContended {
		t.Errorf("got\n%s\nwant\n%s", got, shownContended)
	}
	lacks(t, out, append(c.secrets, "a draft", "due soon", "Bob the")...)

	out = c.must(t, "show", "-values", c.id)
	for _, value := range []string{`"a draft"`, `"Bob the Builder\u001b[2J"`, `"due soon"`} {
		if !strings.Contains(out, value) {
			t.Errorf("%s is not in\n%s", value, out)
		}
	}
	lacks(t, out, append(c.secrets, "\x1b")...)
	if after := c.rdb.HGetAll(t.Context(), c.record).Val(); !reflect.DeepEqual(before, after) {
		t.Errorf("the record was changed:\n%v\n%v", before, after)
	}
}

func TestShowJSON(t *testing.T) {
	t.Parallel()
	c := newContended(t)
	before := c.rdb.HGetAll(t.Context(), c.record).Val()
	out := c.must(t, "show", c.id, "-json", "-values")
	var doc struct {
		ID, User string
		Values   []struct{ Key, Kind, Text string }
		Copies   []string
		Lock     struct {
			Holder struct{ Node string }
			Queue  []struct{ Since time.Time }
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.ID != c.id || doc.User != "bob" || len(doc.Values) != 3 || doc.Values[1].Text != `"Bob the Builder\u001b[2J"` || len(doc.Copies) != 1 ||
		doc.Lock.Holder.Node != doc.Copies[0] || len(doc.Lock.Queue) != 1 || time.Since(doc.Lock.Queue[0].Since) > time.Minute {
		t.Errorf("got %+v", doc)
	}
	lacks(t, out, c.secrets...)
	if after := c.rdb.HGetAll(t.Context(), c.record).Val(); !reflect.DeepEqual(before, after) {
		t.Errorf("the record was changed:\n%v\n%v", before, after)
	}
}

func TestShowNamesTheEncodingOfValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		change func(*manager.Config)
		want   string // without and with -values
		value  string
	}{
		{func(c *manager.Config) { c.EncryptionKeys = [][]byte{[]byte(strings.Repeat("k", 32))} }, "encrypted", "encrypted"},
		{func(c *manager.Config) { c.Codec = manager.Gob{} }, "gob", `"\x01`},
		{func(c *manager.Config) { c.Codec = manager.CBOR{} }, "cbor", `"\x02`},
	} {
		a := newApp(t, test.change)
		id, _ := login(t, a.Manager, "", "plain words")
		if out := a.must(t, "show", id); !strings.HasSuffix(out, test.want+"\n") {
			t.Errorf("want %s at the end of\n%s", test.want, out)
		}
		out := a.must(t, "show", "-values", id)
		if !strings.Contains(out[strings.LastIndex(out, "name"):], test.value) {
			t.Errorf("want %s in\n%s", test.value, out)
		}
		if doc := a.must(t, "show", "-values", "-json", id); !strings.Contains(doc, `"kind":"`+test.want+`"`) {
			t.Errorf("want %s in %s", test.want, doc)
		}
	}
}

func TestShowWhatIsNotThere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := keys.Random(128)
	status, out, errs := a.run(t, "show", id)
	if status != failed || out != "" || !strings.Contains(errs, "no session "+id) || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	foreign := keys.In(a.args[3]).Of(id).Record
	if err := a.rdb.HSet(t.Context(), foreign, "v", "x").Err(); err != nil {
		t.Fatal(err)
	}
	if out := a.must(t, "ls"); strings.Contains(out, "0001-01-01") {
		t.Errorf("ls dates what it cannot read:\n%s", out)
	}
	status, out, errs = a.run(t, "show", id)
	if status != failed || out != "" || !strings.Contains(errs, "not written by Holdfast") || !strings.Contains(errs, "HGETALL "+foreign) || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
}

// A session of a newer release is named as such, and not as a failure of Redis.
func TestShowANewerFormat(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id, _ := login(t, a.Manager, "", "x")
	if err := a.rdb.HSet(t.Context(), keys.In(a.args[3]).Of(id).Record, "f", "99").Err(); err != nil {
		t.Fatal(err)
	}
	status, out, errs := a.run(t, "show", id)
	if status != failed || out != "" || !strings.Contains(errs, "newer release") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
	if out := a.must(t, "ls"); !strings.Contains(out, id) {
		t.Errorf("ls does not list %s:\n%s", id, out)
	}
}
