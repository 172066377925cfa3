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

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/redistest"
)

// listed are the IDs in an output of ls.
func listed(out string) []string {
	var ids []string
	for line := range strings.Lines(out) {
		if id, _, _ := strings.Cut(line, " "); isID(id) {
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
		{"-user nobody", nil},
		{"-min-size 16k", []string{big}},
		{"-user anna -min-size 16k", nil},
		{"-limit 3", all},
	} {
		out := a.must(t, append([]string{"ls"}, strings.Fields(test.args)...)...)
		if got := listed(out); !slices.Equal(got, test.want) {
			t.Errorf("ls %s: got %v, want %v", test.args, got, test.want)
		}
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

// The first of 100,000 sessions is written after a few round trips of the hundreds that a listing takes, and none of
// them asks Redis for much at once.
func TestListStreams(t *testing.T) {
	t.Parallel()
	const n = 100_000
	srv := redistest.Start(t)
	prefix := redistest.Prefix(t)
	populate(t, srv, prefix, n)

	tap := redistest.At(srv.Addr()).Tap(t)
	trips := 0
	out := &firstRow{at: func() { trips = tap.Trips() }}
	begun := time.Now()
	var first time.Duration
	at := out.at
	out.at = func() { at(); first = time.Since(begun) }
	var errs bytes.Buffer
	status := run(t.Context(), []string{"ls", "-json", "-redis", tap.Addr(), "-prefix", prefix},
		process{out: out, errs: &errs, env: func(string) string { return "" }})
	if status != succeeded || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q", status, errs.String())
	}
	ids := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var s struct{ ID string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		ids[s.ID] = true
	}
	commands := tap.Commands()
	if len(ids) != n || len(commands) < 2*n/1000 {
		t.Errorf("%d sessions in %d trips", len(ids), len(commands))
	}
	if trips == 0 || trips > 10 {
		t.Errorf("the first session came after %d trips, want at most 10", trips)
	}
	for _, trip := range commands {
		if slices.Contains(trip, "KEYS") || len(trip) > 2500 {
			t.Fatalf("one trip has %d commands, of which the first is %s", len(trip), trip[0])
		}
	}
	t.Logf("first line after %d of %d trips and %v, all after %v", trips, len(commands), first, time.Since(begun))
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
