package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// window is how large a browser's tabs are, and what its user prefers.
type window struct {
	width, height int64
	dark, still   bool // prefers-color-scheme: dark, prefers-reduced-motion: reduce
	phone         bool
}

var desktop = window{width: 1280, height: 900}

// browserOf starts a browser of its own, with a profile of its own, and returns its first tab at the URL.
func browserOf(t *testing.T, site string, w window) *tab {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(need.Program(t, "chromium")),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(int(w.width), int(w.height)),
		chromedp.NoSandbox, // the tests may run as root, in a container
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("font-render-hinting", "none"),
	)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	b := &tab{t: t, site: site, window: w, troubles: &troubles{}}
	var closeBrowser context.CancelFunc
	b.ctx, closeBrowser = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		closeBrowser()
		stop() // waits until the browser has ended
		cancel()
	})
	b.open()
	return b
}

// tab is one tab of a browser.
type tab struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // what chromedp knows a tab by
	site   string
	window window
	*troubles
}

// troubles are what all tabs of a browser complained of.
type troubles struct {
	mu       sync.Mutex // guards what follows
	messages []string   // console messages, exceptions, violations of the policy
	refusals []string   // answers of 400 and more, which the console tells of as well
	foreign  []string   // requests to other hosts
}

// another opens a further tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	other := &tab{t: b.t, ctx: ctx, site: b.site, window: b.window, troubles: b.troubles}
	other.open()
	return other
}

// watch is run in every page before its own scripts.
const watch = `
window.width = innerWidth;
window.shifts = [];
new PerformanceObserver((list) => { for (const e of list.getEntries()) window.shifts.push({value: e.value, at: e.startTime,
  what: e.sources.map((s) => (s.node && (s.node.id || s.node.className || s.node.dataset?.is || s.node.parentElement?.id || s.node.parentElement?.className || s.node.nodeName)) + ' ' + JSON.stringify(s.previousRect) + ' to ' + JSON.stringify(s.currentRect)).join('; ')}); }).observe({type: 'layout-shift', buffered: true});
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
`

func (b *tab) open() {
	b.t.Helper()
	host := ""
	if u, err := url.Parse(b.site); err == nil {
		host = u.Host
	}
	if err := chromedp.Listen(b.ctx, func(ev any) { b.note(ev, host) }); err != nil {
		b.t.Fatal(err)
	}
	scheme, motion := "light", "no-preference"
	if b.window.dark {
		scheme = "dark"
	}
	if b.window.still {
		motion = "reduce"
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, cdpruntime.Enable, cdp.Empty{})
	call(b, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: b.window.width, Height: b.window.height, DeviceScaleFactor: 1, Mobile: b.window.phone,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
	// A new tab may begin to draw before it is given its size, and then everything moves. Such a start does not count.
	for range 10 {
		b.do(chromedp.Navigate(b.site))
		if b.window.phone || eval[int64](b, `window.width`) == b.window.width {
			break
		}
	}
	// The stream has brought the first state.
	b.until("the first state", `document.querySelector('[data-is="fresh"]')?.textContent !== '–'`)
}

// call sends a command to the tab.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// eval returns what an expression comes to in the page.
func eval[T any](b *tab, expression string, args ...any) T {
	b.t.Helper()
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](fmt.Sprintf(expression, args...), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return result
}

func (b *tab) note(ev any, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *cdpruntime.EventConsoleAPICalled:
		b.messages = append(b.messages, "console."+e.Type.String())
	case *cdpruntime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		b.messages = append(b.messages, text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Source == cdplog.EntrySourceNetwork {
			b.refusals = append(b.refusals, e.Entry.Text+" "+e.Entry.URL)
		} else {
			b.messages = append(b.messages, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != host {
			b.foreign = append(b.foreign, e.Request.URL)
		}
	}
}

// peace checks that no tab has complained of anything. Answers that refuse are allowed only where a test provokes them.
func (b *tab) peace(refusals bool) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.messages) > 0 {
		b.t.Errorf("the page complains: %s", strings.Join(b.messages, "\n"))
	}
	if len(b.refusals) > 0 && !refusals {
		b.t.Errorf("requests were refused: %s", strings.Join(b.refusals, "\n"))
	}
	if len(b.foreign) > 0 {
		b.t.Errorf("the page asked elsewhere: %s", strings.Join(b.foreign, "\n"))
	}
}

// still checks that nothing in this tab has moved by itself or violated the policy.
func (b *tab) still() {
	b.t.Helper()
	shifts := eval[[]struct {
		Value float64 `json:"value"`
		At    float64 `json:"at"`
		What  string  `json:"what"`
	}](b, `window.shifts`)
	violations := eval[[]string](b, `window.violations`)
	for _, s := range shifts {
		b.t.Errorf("layout shift of %.4f after %.0f ms: %s", s.Value, s.At, s.What)
	}
	if len(violations) > 0 {
		b.t.Errorf("violations of the policy: %q", violations)
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// press focuses what a selector finds, and types keys. The focus is set by script: the node IDs that chromedp's own action
// uses change while a page loads.
func (b *tab) press(selector, keys string) {
	b.t.Helper()
	if !eval[bool](b, `(() => { const e = document.querySelector(%q); e?.focus(); return e !== null; })()`, selector) {
		b.t.Fatalf("nothing is found by %s", selector)
	}
	if keys != "" {
		b.do(chromedp.KeyEvent(keys))
	}
}

// click clicks what a selector finds.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// text returns the text of what a selector finds.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, `document.querySelector(%q).textContent.trim()`, selector)
}

func (b *tab) number(selector string) (n int) {
	b.t.Helper()
	text := b.text(selector)
	if _, err := fmt.Sscan(text, &n); err != nil {
		b.t.Errorf("%s is %q, want a number", selector, text)
	}
	return n
}

// until waits until a script's expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 40*time.Second)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(0), chromedp.WithPollingInterval(20*time.Millisecond)))
	if err != nil {
		b.shoot("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatalf("never %s (%s): %v\nThe page shows: %s", what, expression, err, eval[string](b, "document.body.innerText"))
	}
}

// arrives waits until an expression is true, however many pages are loaded meanwhile, and also without scripts.
func (b *tab) arrives(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("never %s (%s)", what, expression)
		}
	}
}

// shows waits until a text is what is wanted.
func (b *tab) shows(selector, want string) {
	b.t.Helper()
	b.until(selector+" shows "+want, fmt.Sprintf(`document.querySelector(%q).textContent.trim() === %q`, selector, want))
}

// cookies returns what the browser keeps.
func (b *tab) cookies() []*network.Cookie {
	b.t.Helper()
	return call(b, network.GetCookies, network.GetCookiesParams{}).Cookies
}

// shoot leaves a picture of the whole page in the folder screenshots. For that the browser makes the window as large as
// the page for a moment, and what moves then does not count.
func (b *tab) shoot(name string) {
	b.t.Helper()
	b.still()
	defer eval[bool](b, `new Promise((done) => setTimeout(() => { window.shifts = []; done(true); }, 100))`)
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("picture %s: %v", name, err)
		return
	}
	if err := os.MkdirAll("screenshots", 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("screenshots", name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
