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
func shown(out string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, [0-9a-z.]+ ago`, "DATE"},
		{`\b\d+h\d\dm|\b\d+m\d\ds|\b[0-9.]+m?s\b`, "AGE"},
		{`version     \d\.\S+`, "version     VERSION"},
		{`memory      \S+`, "memory      SIZE"},
		{`on 1: \S+`, "on 1: NODE"},
		{`by \S+, asked`, "by NODE, asked"},
		{`\d\. \S+ waits`, "N. NODE waits"},
	} {
		out = regexp.MustCompile(r.pattern).ReplaceAllString(out, r.with)
	}
	return out
}

func TestShow(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ctx, err := a.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	s := a.Session(ctx)
	s.BindUser("bob")
	name.Set(s, "Bob\x1b[2J")
	note.SetFor(s, "soon", 10*time.Minute)
	child, err := s.Child("form")
	if err != nil {
		t.Fatal(err)
	}
	note.Set(child, "draft")
	token, _, err := a.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id := s.ID()
	_, secret, _ := strings.Cut(token, ".")
	record := keys.In(a.args[3]).Of(id).Record

	// One request holds the session, of which its node has a copy, and another node's waits for it.
	read(t, a.Manager, token)
	held, err := a.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Discard(held)
	before := a.rdb.HGetAll(t.Context(), record).Val()
	other := newReplica(t, a.rdb, a.args[3])
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := other.Load(ctx, token)
		done <- err
	}()
	defer func() {
		cancel()
		if err := <-done; err == nil {
			t.Error("two hold the session")
		}
	}()
	wait.Until(t, "waiting", func() bool { return strings.Contains(a.must(t, "show", id), "waits") })

	out := a.must(t, "show", id)
	want := `session     ` + id + `
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
form/note                      7  -          text
name                          14  -          text
note                           6  in AGE   text
`
	if got := shown(out); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	lacks(t, out, secret, before["h"], "draft", "soon", "Bob")

	out = a.must(t, "show", "-values", id)
	for _, value := range []string{`"draft"`, `"Bob\u001b[2J"`, `"soon"`} {
		if !strings.Contains(out, value) {
			t.Errorf("%s is not in\n%s", value, out)
		}
	}
	lacks(t, out, secret, before["h"], "\x1b")

	out = a.must(t, "show", id, "-json", "-values")
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
	if doc.ID != id || doc.User != "bob" || len(doc.Values) != 3 || doc.Values[1].Text != `"Bob\u001b[2J"` || len(doc.Copies) != 1 ||
		doc.Lock.Holder.Node != doc.Copies[0] || len(doc.Lock.Queue) != 1 || time.Since(doc.Lock.Queue[0].Since) > time.Minute {
		t.Errorf("got %+v", doc)
	}
	lacks(t, out, secret, before["h"])

	if after := a.rdb.HGetAll(t.Context(), record).Val(); !reflect.DeepEqual(before, after) {
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
