package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func keysOf(text string) (n int64, err error) { err = json.Unmarshal([]byte(text), &n); return n, err }

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }

func TestRevokeOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, token := d.login("bob", "x")
	other, _ := d.login("bob", "x")
	page := d.get("revoke?id=" + id)
	has(t, page, `method="post"`, "bob", id)
	d.get("session?id=" + id) // asking has not revoked it
	a := d.do(http.MethodPost, "revoke?id="+id)
	if a.status != http.StatusSeeOther {
		t.Fatalf("status %d\n%s", a.status, a.body)
	}
	has(t, d.get(a.header.Get("Location")), "Revoked 1 session.")
	if a := d.do(http.MethodGet, "session?id="+id); a.status != http.StatusNotFound {
		t.Errorf("afterwards: status %d", a.status)
	}
	ctx, err := d.app.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if s := d.app.Session(ctx); !s.IsNew() {
		t.Error("the token still opens the session")
	}
	d.app.Discard(ctx)
	d.get("session?id=" + other)
	if a := d.do(http.MethodPost, "revoke?id="+id); a.status != http.StatusNotFound {
		t.Errorf("again: status %d", a.status)
	}
	if got := d.audit(); len(got) != 2 || got[0].Who != "olga" || len(got[0].Sessions) != 1 || got[0].Sessions[0] != id ||
		got[0].Remote == "" || len(got[1].Sessions) != 0 {
		t.Errorf("the log has %+v", got)
	}
	lacks(t, d.log.String(), token)
}

// entry is a line of the audit log.
type entry struct {
	Msg, Level, Who, User, Remote string
	Sessions                      []string
}

func (d *desk) audit() (all []entry) {
	d.t.Helper()
	for line := range strings.Lines(d.log.String()) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			d.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// Users may be called anything. Links and forms lead to them all the same, and their names do no harm.
func TestStrangeUsers(t *testing.T) {
	t.Parallel()
	for _, user := range []string{
		`O'Neil "the" <b>`, "a/b/../c", "x&name=y", "100%", "a+b c", "line\nbreak", "\r\nSet-Cookie: x=y", "nul\x00byte", "\x1b[2J", "\xff\xfe",
		"../../etc", "?id=1#top", "javascript:alert(1)", "{{.}}", "日本", "\u202eright", `\u003cscript\u003e`, "</script><script>alert(1)</script>",
	} {
		t.Run(url.QueryEscape(user), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			id, _ := d.login(user, "x")
			d.login(user, "y")
			bystander, _ := d.login("bob", "z")
			follow := func(page, prefix string) string {
				t.Helper()
				for _, link := range linksOf(page) {
					if rest, ok := strings.CutPrefix(link, prefix); ok && rest != "bob" {
						return link
					}
				}
				t.Fatalf("no link %s in\n%s", prefix, page)
				return ""
			}
			list := d.get("sessions")
			lacks(t, list, "<script>alert", "<b>", "\x00", "\x1b")
			own := d.get(follow(list, "user?name="))
			has(t, own, id)
			lacks(t, own, bystander, "<script>alert", "<b>", "\x00", "\x1b", "\u202e")
			ask := d.get(follow(own, "revoke?user="))
			has(t, ask, "Revoke 2 sessions")
			a := d.do(http.MethodPost, follow(ask, "revoke?user="))
			if a.status != http.StatusSeeOther || a.header.Get("Set-Cookie") != "" {
				t.Fatalf("status %d, header %v", a.status, a.header)
			}
			has(t, d.get(a.header.Get("Location")), "Revoked 2 sessions.", "has no sessions")
			d.get("session?id=" + bystander)
			if left, err := d.app.UserSessions(context.Background(), user); err != nil || len(left) != 0 {
				t.Errorf("left are %v, %v", left, err)
			}
			if got := d.audit(); len(got) != 1 || len(got[0].Sessions) != 2 || got[0].User != strings.ToValidUTF8(user, "�") && user != "\xff\xfe" {
				t.Errorf("the log has %+v", got)
			}
		})
	}
}

// A page of another site cannot revoke anything, even in the operator's browser.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.login("bob", "x")
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		if a := d.do(http.MethodPost, "revoke?id="+id, header...); a.status != http.StatusForbidden {
			t.Errorf("%v: status %d", header, a.status)
		}
	}
	d.get("session?id=" + id)
	if a := d.do(http.MethodPost, "revoke?id="+id, "Sec-Fetch-Site", "same-origin"); a.status != http.StatusSeeOther {
		t.Errorf("from its own page: status %d", a.status)
	}
}
