package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// office is a console of an application with sessions, opened in a browser.
type office struct {
	*tab
	m      *manager.Manager
	rdb    redis.UniversalClient
	addr   string // of Redis
	prefix string
	home   string
	ids    map[string][]string // of each user
}

var basket = manager.Key[[]string]("basket")

func newOffice(t *testing.T, w window) *office {
	t.Helper()
	need.Program(t, "chromium")
	srv := redistest.Shared(t)
	m, err := manager.New(srv.Client(t), &manager.Config{
		Prefix: srv.Prefix, IdleTimeout: time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	o := &office{m: m, rdb: srv.Client(t), addr: srv.Addr(t), prefix: srv.Prefix, ids: map[string][]string{}}
	for i := range 60 {
		user := []string{"ada@example.org", "Grace Hopper", "", `O'Neil "the/slash" <b>`, "", ""}[i%6]
		id, err := m.Create(t.Context(), func(s *manager.Session) error {
			basket.Set(s, slices.Repeat([]string{"rope", "anchor"}, 1+i))
			if user != "" {
				s.BindUser(user)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		o.ids[user] = append(o.ids[user], id)
	}
	link := start(t, "console", "-listen", "localhost:0", "-redis", o.addr, "-prefix", o.prefix)
	o.tab = browserOf(t, link, w)
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	o.home = u.Scheme + "://" + u.Host + "/"
	return o
}

// visit opens a page of the console.
func (o *office) visit(path string) {
	o.t.Helper()
	o.do(chromedp.Navigate(o.home + path))
}

// counted waits until the overview has figures.
func (o *office) counted() {
	o.t.Helper()
	o.until("the overview has figures", `document.querySelector('.cards dd').textContent === '60'`)
	o.until("there is a line in a chart", `document.querySelector('polyline[points*=" "]')`)
}

// pages are those that every browser looks at.
func (o *office) pages() map[string]string {
	strange := `O'Neil "the/slash" <b>`
	return map[string]string{
		"overview": "", "sessions": "sessions", "newest": "sessions?order=newest", "session": "session?id=" + o.ids["ada@example.org"][0],
		"user": "user?name=" + url.QueryEscape(strange), "locks": "locks", "revoke": "revoke?user=" + url.QueryEscape(strange),
		"problem": "session?id=" + strings.Repeat("A", 22),
	}
}

// TestConsoleLooks measures each page in both colour schemes, on a desktop and on a phone: contrast, width, what moves,
// what is too small for a finger, and what is cut off.
func TestConsoleLooks(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]window{
		"light": desktop, "dark": {width: 1280, height: 900, dark: true},
		"phone": {width: 360, height: 740, phone: true}, "phone-dark": {width: 360, height: 740, phone: true, dark: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, w)
			o.counted()
			for page, path := range o.pages() {
				o.visit(path)
				if page == "overview" {
					o.counted()
				}
				got := eval[struct {
					Bad     []string `json:"bad"`
					Checked int      `json:"checked"`
				}](o.tab, "%s", contrast)
				if len(got.Bad) > 0 || got.Checked < 5 {
					t.Errorf("%s: %d texts were measured; too little contrast: %q", page, got.Checked, got.Bad)
				}
				if wide := eval[int64](o.tab, `document.documentElement.scrollWidth`); wide > w.width {
					over := eval[[]string](o.tab, `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll')).map((e) => e.className || e.tagName)`)
					t.Errorf("%s is %d wide: %q", page, wide, over)
				}
				if small := eval[[]string](o.tab, `[...document.querySelectorAll('button, .button, input, nav a')].filter((e) => { const r = e.getBoundingClientRect(); return r.height < 44; }).map((e) => e.outerHTML)`); len(small) > 0 {
					t.Errorf("%s: too small for a finger: %q", page, small)
				}
				if cut := eval[[]string](o.tab, `[...document.querySelectorAll('h1, h2, dt, dd, button, .button, nav a')].filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline').map((e) => e.outerHTML)`); len(cut) > 0 {
					t.Errorf("%s: cut off: %q", page, cut)
				}
				if unnamed := eval[[]string](o.tab, `[...document.querySelectorAll('a, button, input, progress, [role="region"]')].filter((e) => !(e.getAttribute('aria-label') || e.innerText || e.labels?.length)).map((e) => e.outerHTML)`); len(unnamed) > 0 {
					t.Errorf("%s: without a name: %q", page, unnamed)
				}
				o.still()
				o.shoot(fmt.Sprintf("console-%s-%s", page, name))
			}
			o.peace(true) // the unknown session is answered with 404
		})
	}
}

// TestConsoleByKeyboard finds a session and revokes a user's with keys alone.
func TestConsoleByKeyboard(t *testing.T) {
	t.Parallel()
	o := newOffice(t, desktop)
	o.counted()
	var order []string
	for range 12 {
		o.do(chromedp.KeyEvent(kb.Tab))
		at := eval[struct {
			Name    string `json:"name"`
			Outline bool   `json:"outline"`
		}](o.tab, `(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			return {name: e === document.body ? '' : (e.innerText || e.labels?.[0]?.innerText || '').trim(), outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2};
		})()`)
		if at.Name == "" {
			break
		}
		if !at.Outline {
			t.Errorf("the focus on %q is not visible", at.Name)
		}
		order = append(order, at.Name)
	}
	want := []string{"Skip to the content", "Holdfast", "Overview", "Sessions", "Locks", "Pause updates", "User", "Find", "Session ID", "Find"}
	if !slices.Equal(order, want) {
		t.Errorf("Tab leads through %q, want %q", order, want)
	}
	o.press("#find-user", "Grace Hopper"+kb.Enter)
	o.arrives("the user's page is there", `document.querySelector('h1')?.textContent === 'User Grace Hopper'`)
	if n := eval[int](o.tab, `document.querySelectorAll('.devices li').length`); n != 10 {
		t.Errorf("%d devices, want 10", n)
	}
	o.press(".heading .danger", kb.Enter)
	o.arrives("the question is there", `document.querySelector('h1')?.textContent.startsWith('Revoke all sessions of') === true`)
	if left, err := o.m.UserSessions(t.Context(), "Grace Hopper"); err != nil || len(left) != 10 {
		t.Fatalf("before the answer there are %d sessions, %v", len(left), err)
	}
	o.press("button.danger", kb.Enter)
	o.arrives("they are revoked", `document.querySelector('.done')?.textContent === 'Revoked 10 sessions.'`)
	if left, err := o.m.UserSessions(t.Context(), "Grace Hopper"); err != nil || len(left) != 0 {
		t.Errorf("left are %d sessions, %v", len(left), err)
	}
	o.peace(false)
}

// TestConsoleLive shows a wait for a lock as it comes and goes, and stops when asked to.
func TestConsoleLive(t *testing.T) {
	t.Parallel()
	o := newOffice(t, desktop)
	id := o.ids["ada@example.org"][0]
	o.visit("locks")
	hold := func() (release func()) {
		t.Helper()
		held, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			done <- o.m.Update(context.Background(), id, func(*manager.Session) error { close(held); <-end; return nil })
		}()
		<-held
		return func() {
			close(end)
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	release := hold()
	o.until("the lock shows", fmt.Sprintf(`document.querySelector('td a[href="session?id=%s"]')`, id))
	// The focus stays on a link while its table is replaced.
	o.press("td a", "")
	_ = eval[bool](o.tab, `(document.querySelector('table').dataset.old = '1', true)`)
	o.until("the table is replaced", `document.querySelector('table:not([data-old])')`)
	if at := eval[string](o.tab, `document.activeElement.getAttribute('href') || ''`); at != "session?id="+id {
		t.Errorf("the focus is on %q", at)
	}
	o.shoot("console-lock")
	o.click("[data-pause]")
	_ = eval[bool](o.tab, `(document.querySelector('table').dataset.old = '1', true)`)
	release()
	if !eval[bool](o.tab, `new Promise((done) => setTimeout(() => done(!!document.querySelector('table[data-old]')), 2500))`) {
		t.Error("the table changed although updates are paused")
	}
	o.click("[data-pause]")
	o.until("the lock is gone", `document.querySelector('.empty')?.textContent === 'No session is locked.' || document.querySelectorAll('td a').length === 0`)
	o.peace(false)
	o.still()
}

// TestConsoleWithoutScripts goes through everything that does not update by itself.
func TestConsoleWithoutScripts(t *testing.T) {
	t.Parallel()
	o := newOffice(t, desktop)
	call(o.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	o.visit("sessions?order=largest")
	o.arrives("the list is there", `!!document.querySelector('td.name a')`)
	o.visit(eval[string](o.tab, `document.querySelector('td.name a').getAttribute('href')`))
	o.arrives("the user's page is there", `!!document.querySelector('.devices')`)
	o.visit(eval[string](o.tab, `document.querySelector('.heading .danger').getAttribute('href')`))
	o.arrives("the question is there", `!!document.querySelector('button.danger')`)
	o.press("button.danger", kb.Enter)
	o.arrives("sessions were revoked", `document.querySelector('.done')?.textContent.startsWith('Revoked ') === true`)
	o.peace(false)
}

// TestConsoleLink lets one browser in, once.
func TestConsoleLink(t *testing.T) {
	t.Parallel()
	o := newOffice(t, desktop)
	if at := eval[string](o.tab, `location.href`); at != o.home {
		t.Errorf("the link leads to %s", at)
	}
	for _, c := range o.cookies() {
		if !c.HTTPOnly || c.SameSite != "Strict" {
			t.Errorf("the cookie is %+v", *c)
		}
	}
	other := browserOf(t, o.site, desktop)
	if text := other.text("body"); !strings.Contains(text, "was used before") {
		t.Errorf("the link works twice: %s", text)
	}
}
