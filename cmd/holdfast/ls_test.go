package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// listed are the IDs in an output of ls.
func listed(out string) []string {
	var ids []string
	for line := range strings.Lines(out) {
		if id, _, _ := strings.Cut(line, " "); keys.IsID(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	anna, _ := login(t, a.Manager, "anna", "x")
	bob, _ := login(t, a.Manager, "bob", "x")
	big, _ := login(t, a.Manager, "bob", strings.Repeat("x", 20_000))
	all := slices.Sorted(slices.Values([]string{anna, bob, big}))
	for _, test := range []struct {
		args string
		want []string
	}{
		{"", all},
		{"-newer 1h", all},
		{"-older 1h", nil},
		{"-user anna", []string{anna}},
		{"-min-size 16k", []string{big}},
		{"-user anna -min-size 16k", nil},
		{"-limit 3", all},
	} {
		out := a.must(t, append([]string{"ls"}, strings.Fields(test.args)...)...)
		if got := listed(out); !slices.Equal(got, test.want) {
			t.Errorf("ls %s: got %v, want %v", test.args, got, test.want)
		}
	}
	if status, out, errs := a.run(t, "ls", "-user", "nobody"); status != failed || len(listed(out)) != 0 || !strings.Contains(errs, "user nobody has no sessions") {
		t.Errorf("-user nobody: status %d, errors %q", status, errs)
	}
	if got := listed(a.must(t, "ls", "-limit", "1")); len(got) != 1 {
		t.Errorf("-limit 1 listed %d", len(got))
	}
}

func TestListColumns(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id, token := login(t, a.Manager, "an\x1b[31mna", "x")
	lines := strings.Split(a.must(t, "ls"), "\n")
	if want := "ID                      CREATED (UTC)            AGE  LAST SEEN     SIZE  KEYS  USER"; lines[0] != want {
		t.Errorf("the head is\n%s, want\n%s", lines[0], want)
	}
	want := regexp.MustCompile(`^` + id + `  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d +[0-9.]+m?s +[0-9.]+m?s +\d+ +1  "an\\x1b\[31mna"$`)
	if !want.MatchString(lines[1]) {
		t.Errorf("the line is %q, want %v", lines[1], want)
	}

	out := a.must(t, "ls", "-json")
	var got struct {
		ID, User string
		Created  time.Time
		LastSeen time.Time `json:"last_seen"`
		Ends     time.Time
		Bytes    int64
		Keys     []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got.ID != id || got.User != "an\x1b[31mna" || got.Bytes < 100 || !slices.Equal(got.Keys, []string{"name"}) {
		t.Errorf("got %+v", got)
	}
	if time.Since(got.Created) > time.Minute || got.LastSeen.Before(got.Created) || time.Until(got.Ends) < 58*time.Minute {
		t.Errorf("got %+v", got)
	}
	_, secret, _ := strings.Cut(token, ".")
	lacks(t, out+strings.Join(lines, "\n"), secret)
}

// firstRow is an output that calls back when the first session is written.
type firstRow struct {
	bytes.Buffer
	at func()
}

func (f *firstRow) Write(b []byte) (int, error) {
	if f.at != nil && strings.HasPrefix(string(b), "{") {
		f.at()
		f.at = nil
	}
	return f.Buffer.Write(b)
}

// calls counts the commands that a server has processed since it began, by name.
func calls(t *testing.T, rdb *redis.Client) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, m := range regexp.MustCompile(`cmdstat_(\S+):calls=(\d+)`).FindAllStringSubmatch(rdb.Info(t.Context(), "commandstats").Val(), -1) {
		n[m[1]], _ = strconv.Atoi(m[2])
	}
	return n
}

// The first of 100,000 sessions is written after the first step of hundreds, and no command asks Redis for much.
func TestListStreams(t *testing.T) {
	t.Parallel()
	const n = 100_000
	srv := redistest.Start(t)
	prefix := redistest.Prefix(t)
	populate(t, srv, prefix, n)
	rdb := srv.Client(t)
	if err := rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}

	begun := time.Now()
	var atFirst map[string]int
	var first time.Duration
	out := &firstRow{at: func() { first, atFirst = time.Since(begun), calls(t, rdb) }}
	var errs bytes.Buffer
	status := run(t.Context(), []string{"ls", "-json", "-redis", srv.Addr(), "-prefix", prefix},
		process{out: out, errs: &errs, env: func(string) string { return "" }})
	all := time.Since(begun)
	if status != succeeded || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q", status, errs.String())
	}
	ids := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		id, _, ok := strings.Cut(strings.TrimPrefix(line, `{"id":"`), `"`)
		ids[id] = ok
	}
	atEnd := calls(t, rdb)
	if len(ids) != n || atEnd["scan"] < n/1000 {
		t.Errorf("%d sessions in %d steps", len(ids), atEnd["scan"])
	}
	if atFirst["scan"] != 1 || atFirst["hmget"] == 0 || atFirst["hmget"] > 1000 {
		t.Errorf("when the first session was written, Redis had been asked for %v", atFirst)
	}
	if atEnd["keys"]+atEnd["hgetall"] > 0 {
		t.Errorf("Redis was asked for %v", atEnd)
	}
	t.Logf("the first after 1 of %d steps and %v, all after %v", atEnd["scan"], first, all)
}

// populate makes many sessions out of one that an application has created.
func populate(t *testing.T, srv *redistest.Server, prefix string, n int) {
	t.Helper()
	m := newReplica(t, srv.Client(t), prefix)
	id, _ := login(t, m, "bob", strings.Repeat("x", 100))
	space := keys.In(prefix)
	rdb := srv.Client(t)
	pipe := rdb.Pipeline()
	for i := range n - 1 {
		copied := strconv.Itoa(i)
		copied = strings.Repeat("A", keys.IDLen-len(copied)) + copied
		pipe.Do(t.Context(), "COPY", space.Of(id).Record, space.Of(copied).Record)
		if pipe.Len() == 5000 || i == n-2 {
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
