package main

import (
	"encoding/json"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
)

func TestRevokeByID(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	first, token := login(t, a.Manager, "bob", "x")
	second, _ := login(t, a.Manager, "bob", "x")
	third, _ := login(t, a.Manager, "", "x")
	if out := a.must(t, "revoke", first, second, "-yes"); out != "revoked 2 sessions\n" {
		t.Errorf("got %q", out)
	}
	ctx, err := a.Load(t.Context(), token)
	if err != nil || !a.Session(ctx).IsNew() {
		t.Errorf("a revoked session was opened: %v", err)
	}
	a.Discard(ctx)
	if n := a.rdb.ZCard(t.Context(), keys.In(a.args[3]).User("bob")).Val(); n != 0 {
		t.Errorf("%d entries are left in the user's index", n)
	}
	status, out, errs := a.run(t, "revoke", first, third, "-yes")
	if status != failed || out != "revoked 1 session\nnot found: "+first+"\n" || errs != "" {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
}

func TestRevokeUser(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	login(t, a.Manager, "bob", "x")
	login(t, a.Manager, "bob", "x")
	anna, _ := login(t, a.Manager, "anna", "x")
	out := a.must(t, "revoke", "-user", "bob", "-yes", "-json")
	var doc struct {
		Revoked []string
		User    string
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Revoked) != 2 || doc.User != "bob" {
		t.Errorf("got %s, %v", out, err)
	}
	if got := listed(a.must(t, "ls")); len(got) != 1 || got[0] != anna {
		t.Errorf("left are %v, want %s", got, anna)
	}
	status, out, errs := a.run(t, "revoke", "-user", "bob", "-yes")
	if status != failed || out != "revoked 0 sessions of user bob\n" || errs != "" {
		t.Errorf("status %d, output %q, errors %q", status, out, errs)
	}
}

// keyboard is a terminal on which the operator types.
type keyboard struct{ io.Reader }

func (keyboard) Stat() (fs.FileInfo, error) { return device{}, nil }

type device struct{}

func (device) Name() string       { return "terminal" }
func (device) Size() int64        { return 0 }
func (device) Mode() fs.FileMode  { return fs.ModeDevice | fs.ModeCharDevice }
func (device) ModTime() time.Time { return time.Time{} }
func (device) IsDir() bool        { return false }
func (device) Sys() any           { return nil }

func TestRevokeAsksOnATerminal(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	login(t, a.Manager, "bob", "x")
	for _, answer := range []string{"", "n\n", "nyes\n", "\n"} {
		w := with{in: keyboard{strings.NewReader(answer)}}
		status, out, errs := w.holdfast(t.Context(), append([]string{"revoke", "-user", "bob"}, a.args...)...)
		if status != failed || out != "" || !strings.Contains(errs, "Revoke 1 session of user bob") || !strings.Contains(errs, "nothing was revoked") {
			t.Errorf("%q: status %d, output %q, errors %q", answer, status, out, errs)
		}
	}
	if got := listed(a.must(t, "ls")); len(got) != 1 {
		t.Errorf("left are %v", got)
	}
	w := with{in: keyboard{strings.NewReader("y\n")}}
	status, out, _ := w.holdfast(t.Context(), append([]string{"revoke", "-user", "bob"}, a.args...)...)
	if status != succeeded || out != "revoked 1 session of user bob\n" {
		t.Errorf("status %d, output %q", status, out)
	}
}
