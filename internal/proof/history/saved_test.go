package history_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

var saved = flag.String("history.file", "", "check this history, which a failed run has kept, instead of those in testdata")

func load(t *testing.T, name string) *history.History {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	h, err := history.Load(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return h
}

// Histories that were accused wrongly once pass.
//
// stale_view.jsonl: in the order that the search finds first, the last read that came out as superseded (#193) stands behind
// the add #180, although both orders of the two fit. So the value that #180 replaced would have ended before #193 did, and
// four views of it would have been too old.
func TestSavedHistories(t *testing.T) {
	t.Parallel()
	files := []string{*saved}
	if *saved == "" {
		files, _ = filepath.Glob("testdata/*.jsonl")
	}
	if len(files) == 0 {
		t.Fatal("no history in testdata")
	}
	for _, name := range files {
		h := load(t, name)
		r := h.Check(time.Minute)
		t.Logf("%s: %v", name, r)
		if !r.OK() {
			t.Errorf("%s: %v", name, r)
			for _, v := range r.Violations {
				t.Logf("session %s:\n%s", v.Session, h.Trace(v.Session))
			}
		}
	}
}

// What is saved comes to the same verdict, and is as much.
func TestSave(t *testing.T) {
	t.Parallel()
	s := newScript()
	v := s.create()
	v2 := s.do(history.Add, v, OK)
	s.Loss("failover")()
	s.do(history.Read, v, OK)
	s.do(history.Read, v2, OK)
	s.begin(history.Rotate) // whose client died
	var b bytes.Buffer
	if err := s.Save(&b, "s"); err != nil {
		t.Fatal(err)
	}
	again, err := history.Load(&b)
	if err != nil {
		t.Fatal(err)
	}
	was, is := s.Check(time.Minute), again.Check(time.Minute)
	if is.OK() || was.String() != is.String() || s.Trace("s") != again.Trace("s") {
		t.Errorf("loaded: %v\n%s\nwant %v\n%s", is, again.Trace("s"), was, s.Trace("s"))
	}
	for _, bad := range []string{"", "{}\n{}\n", "{}\n{\"kind\":\"loss\"", "nonsense"} {
		if _, err := history.Load(bytes.NewReader([]byte(bad))); err == nil {
			t.Errorf("%q is loaded", bad)
		}
	}
}
