package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// findings are the checks of an output of doctor, by name: "ok", "warn" or "fail".
func findings(out string) map[string]string {
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(ok|warn|fail) +(\S+)  `).FindAllStringSubmatch(out, -1) {
		found[m[2]] = m[1]
	}
	return found
}

var checks = []string{
	"server", "topology", "eviction", "maxmemory", "buffers", "persistence", "clock", "scripts", "locks", "pub/sub", "ping", "script", "sessions",
}

// room is what a Redis that is fit has for sessions.
const room = "512mb"

// examined are servers, and what doctor finds of them.
var examined = []struct {
	name    string
	options []string
	status  int
	want    map[string]string // other than ok
	advice  string
}{
	{name: "fit", options: []string{"--maxmemory", room, "--appendonly", "yes"}},
	{name: "as it comes", want: map[string]string{"maxmemory": "warn", "persistence": "warn"}, advice: "-> CONFIG SET appendonly yes"},
	{
		name:    "snapshots",
		options: []string{"--maxmemory", room, "--save", "3600 1"},
		want:    map[string]string{"persistence": "warn"}, advice: "-> CONFIG SET appendonly yes",
	},
	{
		name:    "evicting",
		options: []string{"--maxmemory", room, "--appendonly", "yes", "--maxmemory-policy", "volatile-lru"},
		status:  failed, want: map[string]string{"eviction": "fail"}, advice: "-> CONFIG SET maxmemory-policy noeviction",
	},
	{
		name:    "would evict",
		options: []string{"--appendonly", "yes", "--maxmemory-policy", "allkeys-lfu"},
		want:    map[string]string{"eviction": "warn", "maxmemory": "warn"}, advice: "-> CONFIG SET maxmemory-policy noeviction",
	},
	{
		name:    "small buffers",
		options: []string{"--maxmemory", room, "--appendonly", "yes", "--client-output-buffer-limit", "pubsub 64kb 32kb 10"},
		want:    map[string]string{"buffers": "warn"}, advice: "client-output-buffer-limit",
	},
	{
		name:    "full",
		options: []string{"--maxmemory", "900kb", "--appendonly", "yes"},
		status:  failed, want: map[string]string{"maxmemory": "fail", "scripts": "?", "locks": "?"}, advice: "-> raise maxmemory",
	},
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	for _, test := range examined {

		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t, test.options...)
			status, out, errs := holdfast(t.Context(), "doctor", "-redis", srv.Addr())
			if status != test.status || errs != "" || !strings.Contains(out, test.advice) {
				t.Errorf("status %d, errors %q, want status %d and %q in\n%s", status, errs, test.status, test.advice, out)
			}
			found := findings(out)
			for _, name := range checks {
				want := "ok"
				if w := test.want[name]; w != "" {
					want = w
				}
				slow := found[name] == "warn" && (name == "ping" || name == "script") // on a busy machine
				if found[name] != want && want != "?" && !slow {
					t.Errorf("%s is %q, want %q\n%s", name, found[name], want, out)
				}
			}
			if n := strings.Count(out, "-> "); n != len(slices.DeleteFunc(strings.Split(out, "\n"), func(l string) bool {
				return !strings.HasPrefix(l, "warn") && !strings.HasPrefix(l, "fail")
			})) {
				t.Errorf("not each warning and failure comes with advice:\n%s", out)
			}
		})
	}
}

func TestDoctorLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	out := a.must(t, "doctor", "-json")
	var doc struct {
		OK     bool
		Redis  string
		Kind   string
		Checks []struct{ Name, Status, Found, Advice string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || !doc.OK || doc.Kind != "standalone" || len(doc.Checks) != len(checks) {
		t.Errorf("got %s, %v", out, err)
	}
	if got := listed(a.must(t, "ls")); len(got) != 0 {
		t.Errorf("left are the sessions %v", got)
	}
	if out := a.must(t, "locks"); strings.Count(out, "\n") != 1 {
		t.Errorf("left are locks:\n%s", out)
	}
	// What is left is the mark that keeps the ID from being used again, for a minute.
	for _, key := range a.rdb.Keys(t.Context(), a.args[3]+":*").Val() {
		if _, ok := keys.In(a.args[3]).RecordID(key); !ok || a.rdb.TTL(t.Context(), key).Val() <= 0 {
			t.Errorf("left is %s", key)
		}
	}
}

// A user who may do what an application does, and nothing of an administrator.
func TestDoctorWithFewRights(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	for user, rights := range map[string][]any{"app": {"+@all", "-@admin", "-@dangerous"}, "reader": {"+@read", "+@connection"}} {
		rules := append([]any{"ACL", "SETUSER", user, "on", ">" + password, "~holdfast:*", "&holdfast:*"}, rights...)
		if err := srv.Client(t).Do(t.Context(), rules...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errs := env(password).holdfast(t.Context(), "doctor", "-redis", "redis://app@"+srv.Addr())
	found := findings(out)
	if status != succeeded || errs != "" || found["server"] != "warn" || found["buffers"] != "warn" || found["scripts"] != "ok" || found["pub/sub"] != "ok" {
		t.Errorf("status %d, errors %q\n%s", status, errs, out)
	}
	if err := srv.Client(t).Do(t.Context(), "ACL", "SETUSER", "app", "-ping").Err(); err != nil {
		t.Fatal(err)
	}
	status, out, errs = env(password).holdfast(t.Context(), "doctor", "-redis", "redis://app@"+srv.Addr())
	if found := findings(out); status != succeeded || errs != "" || found["ping"] != "warn" {
		t.Errorf("without PING: status %d, errors %q\n%s", status, errs, out)
	}
	status, out, errs = env(password).holdfast(t.Context(), "doctor", "-redis", "redis://reader@"+srv.Addr())
	found = findings(out)
	if status != failed || errs != "" || found["scripts"] != "fail" || found["locks"] != "fail" || found["pub/sub"] != "fail" {
		t.Errorf("status %d, errors %q\n%s", status, errs, out)
	}
	lacks(t, out, password)
}

// What the user may not ask is unknown, and never told as a fact. The advice names the application's prefix, and doctor does
// not wait for rights that it will not get.
func TestDoctorWithNoRights(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	if err := srv.Client(t).Do(t.Context(), "ACL", "SETUSER", "poor", "on", ">"+password, "~*", "&*", "+ping").Err(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	status, out, errs := env(password).holdfast(t.Context(), "doctor", "-redis", "redis://poor@"+srv.Addr(), "-prefix", "shop", "-timeout", "1m")
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
	found := findings(out)
	for name, want := range map[string]string{
		"server": "warn", "topology": "warn", "eviction": "warn", "clock": "warn", "script": "warn",
		"scripts": "fail", "locks": "fail", "pub/sub": "fail", "sessions": "fail", "ping": "ok",
	} {
		if slow := name == "ping" && found[name] == "warn"; found[name] != want && !slow {
			t.Errorf("%s is %q, want %q", name, found[name], want)
		}
	}
	if status != failed || errs != "" || strings.Count(out, "~shop:* &shop:* ") != 3 || strings.Contains(out, "+script)") || strings.Contains(out, "0 replicas") {
		t.Errorf("status %d, errors %q\n%s", status, errs, out)
	}
	status, _, errs = env(password).holdfast(t.Context(), "watch", "-for", "1m", "-redis", "redis://poor@"+srv.Addr(), "-prefix", "shop")
	if status != failed || !strings.Contains(errs, "+psubscribe &shop:*") {
		t.Errorf("watch: status %d, errors %q", status, errs)
	}
}

// Sessions were deleted, and the setting that did it is gone: the count is what is left to see.
func TestDoctorAfterAnEviction(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
	rdb := srv.Client(t)
	for i := range 60 {
		if err := rdb.Set(t.Context(), strconv.Itoa(i), strings.Repeat("x", 100_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{"maxmemory-policy": "noeviction", "maxmemory": "512mb", "appendonly": "yes"} {
		if err := rdb.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errs := holdfast(t.Context(), "doctor", "-redis", srv.Addr())
	if status != succeeded || errs != "" || findings(out)["eviction"] != "warn" || !strings.Contains(out, "evicted_keys is ") {
		t.Errorf("status %d, errors %q\n%s", status, errs, out)
	}
}
