package manager_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/roster"
	"github.com/holdfast-go/holdfast/internal/testkit/logtest"
	"github.com/holdfast-go/holdfast/manager"
)

// While it runs, a Manager says in Redis who it is and what it has done.
func TestAnnounce(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		var log logtest.Recorder
		m := v.manager(func(c *manager.Config) { c.NodeName, c.Logger = "web-7", slog.New(&log) })
		if text := log.Text(); !strings.Contains(text, "holdfast: started node="+m.Node()+" name=web-7 version="+m.Version()) {
			t.Errorf("logged %q", text)
		}
		entry := func() (roster.Entry, bool) {
			rdb := v.srv.NewClient()
			defer rdb.Close()
			entries, err := roster.New(rdb, "", 0).Read(t.Context(), m.Node())
			if err != nil {
				t.Fatal(err)
			}
			e, ok := entries[m.Node()]
			return e, ok
		}
		visit(m, m.Handler, "", add)
		time.Sleep(11 * time.Second)
		first, ok := entry()
		if !ok || first.Name != "web-7" || first.Version == "" || first.Commits != 1 {
			t.Errorf("announced %+v, %v", first, ok)
		}
		visit(m, m.Handler, "", add)
		time.Sleep(time.Hour)
		if e, ok := entry(); !ok || e.Commits != 2 || !e.At.After(first.At.Add(59*time.Minute)) || !e.Started.Equal(first.Started) {
			t.Errorf("an hour later %+v, %v", e, ok)
		}
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if e, ok := entry(); ok {
			t.Errorf("after Close %+v", e)
		}
	})
}

func TestNodeName(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		host, err := os.Hostname()
		if m := v.manager(); err == nil && m.NodeName() != host {
			t.Errorf("the default is %q", m.NodeName())
		}
		rdb := v.srv.NewClient()
		for _, name := range []string{strings.Repeat("x", 65), "two\nlines", "\xff", "\x1b[2J"} {
			if _, err := manager.New(rdb, &manager.Config{NodeName: name}); err == nil || !strings.Contains(err.Error(), "Config.NodeName is ") {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}
