package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// The lines of progress that show, and the tables.
const (
	lines  = `[...document.querySelectorAll('.step')].filter((e) => e.getClientRects().length > 0)`
	tables = `[...document.querySelectorAll('.found')].filter((e) => e.getClientRects().length > 0)`
)

// TestConsoleWhileItScans shows the rows so far of a list in an order. Better ones replace them in their place, whatever
// the reader has scrolled to.
func TestConsoleWhileItScans(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]window{"light": desktop, "phone-dark": {width: 360, height: 740, phone: true, dark: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, w)
			o.copies(4000)
			slow := redistest.At(o.addr).Tap(t)
			slow.Delay(200*time.Millisecond, 0) // long enough to see rows before the scan has ended
			o.tab = browserOf(t, start(t, "console", "-listen", "localhost:0", "-redis", slow.Addr(), "-prefix", o.prefix), w)
			o.press(`nav a[href="sessions"]`, "\r")
			o.arrives("the list is there", `!!document.querySelector('.orders')`)
			o.press(`.orders a[href$="newest"]`, "\r")
			o.arrives("there are rows while the scan goes on", `!!document.querySelector('progress') && !!document.querySelector('td')`)
			slow.Delay(time.Second, 0) // the rest is to be looked at
			o.arrives("the table is whole", `document.querySelectorAll('.found tr').length >= 51`)
			if n := eval[int](o.tab, "%s.length", lines); n != 1 {
				t.Errorf("%d lines of progress show", n)
			}
			if n := eval[int](o.tab, "%s.length", tables); n != 1 {
				t.Errorf("%d tables show", n)
			}
			if high := eval[float64](o.tab, "%s[0].getBoundingClientRect().height", lines); high > 44 {
				t.Errorf("the line of progress is %.0f pixels high", high)
			}
			o.shoot(fmt.Sprintf("console-scan-%s", name))
			at := eval[float64](o.tab, `(%s[0].querySelectorAll('tr')[40].scrollIntoView(), scrollY)`, tables)
			if at < 500 {
				t.Errorf("row 40 is %.0f pixels below the top", at)
			}
			slow.Heal()
			o.arrives("the scan has ended", `document.readyState === 'complete' && `+lines+`[0].textContent === 'The newest sessions'`)
			if n := eval[int](o.tab, "%s.length", tables); n != 1 {
				t.Errorf("at the end %d tables show", n)
			}
			if n := eval[int](o.tab, `document.querySelectorAll('.found').length`); n < 3 {
				t.Errorf("there were %d tables", n)
			}
			if now := eval[float64](o.tab, `scrollY`); now != at {
				t.Errorf("the page was scrolled from %.0f to %.0f", at, now)
			}
			o.peace(false)
			o.still()
		})
	}
}

// copies adds n copies of a session.
func (o *office) copies(n int) {
	o.t.Helper()
	space := keys.In(o.prefix)
	from := space.Of(o.ids["ada@example.org"][0]).Record
	pipe := o.rdb.Pipeline()
	for i := range n {
		pipe.Do(o.t.Context(), "COPY", from, space.Of(strings.Repeat("A", keys.IDLen-5)+fmt.Sprintf("%05d", i)).Record)
	}
	if _, err := pipe.Exec(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}
