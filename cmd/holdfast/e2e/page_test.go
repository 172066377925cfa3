package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestCookie looks at what the browser keeps, over HTTPS, before and after a login.
func TestCookie(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t, "-tls"), desktop)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	secret := func() string {
		t.Helper()
		all := b.cookies()
		if len(all) != 1 {
			t.Fatalf("%d cookies, want one", len(all))
		}
		c := all[0]
		if c.Name != "__Host-session" || !c.Secure || !c.HTTPOnly || c.Path != "/" || c.SameSite != "Lax" || c.Domain != "localhost" {
			t.Errorf("the cookie is %+v", *c)
		}
		id, secret, ok := strings.Cut(c.Value, ".")
		if !ok || id != b.text("#id") || len(secret) != 43 {
			t.Errorf("the cookie does not begin with the ID on the page, or has no secret")
		}
		return secret
	}
	anonymous := secret()
	b.shows("#cookie", "__Host-session; Secure; HttpOnly; SameSite=Lax; Path=/")
	b.press("#user", "Ada"+kb.Enter)
	b.shows("#who", "Ada")
	named := secret()
	if named == anonymous {
		t.Error("the login kept the secret")
	}
	b.until("two cookies were issued", `document.querySelector('#cookies').textContent.startsWith('2 times')`)
	b.shows("#found", "1")
	b.shoot("cookie")
	everything := eval[string](b, `(async () => document.documentElement.outerHTML + JSON.stringify(localStorage) + document.cookie +
		await (await fetch('/live/state?session=' + document.querySelector('#id').textContent)).text())()`)
	for _, s := range []string{anonymous, named} {
		if strings.Contains(everything, s) {
			t.Error("the page shows a secret")
		}
	}
	// Over HTTP/2 the browser sends all clicks of a burst at once.
	b.click("#burst")
	b.until("the burst is over", burstIsOver)
	if expected, _ := b.addsUp(); expected != 21 {
		t.Errorf("%d acknowledged, want 21", expected)
	}
	b.click("#leave")
	b.shows("#id", "none yet")
	if all := b.cookies(); len(all) != 0 {
		t.Errorf("%d cookies after the session has ended", len(all))
	}
	b.peace(false)
	b.still()
}

// TestKeyboard goes through the page with the Tab key alone.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t, "-replicas", "2"), desktop)
	var order []string
	for range 60 {
		b.do(chromedp.KeyEvent(kb.Tab))
		at := eval[struct {
			Name    string `json:"name"`
			Outline bool   `json:"outline"`
			Seen    bool   `json:"seen"`
		}](b, `(() => {
			const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return {
				name: e === document.body ? '' : (e.getAttribute('aria-label') || e.innerText.replace(/\s+/g, ' ').trim()),
				outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
				seen: r.width > 0 && r.bottom > 0 && r.top < innerHeight,
			};
		})()`)
		if at.Name == "" {
			break
		}
		if !at.Outline || !at.Seen {
			t.Errorf("the focus on %q is not to be seen", at.Name)
		}
		order = append(order, at.Name)
	}
	want := []string{"Skip to the result", "Open another tab", "Send 20 clicks", "Sticky off", "Lock on", "Cut Redis off"}
	for _, thing := range []string{"Folding anchor", "Mooring rope", "Bow shackle", "Deck cleat", "Storm lantern", "Hand compass"} {
		want = append(want, "Add "+thing)
	}
	want = append(want, "Read the cart", "Start over", "Your name", "Log in",
		"Pause replica 1", "Kill replica 1", "Pause replica 2", "Kill replica 2")
	if !slices.Equal(order, want) {
		t.Errorf("Tab leads through %q, want %q", order, want)
	}

	b.press("#burst", kb.Enter)
	b.until("the burst is over", burstIsOver)
	if focus := eval[string](b, `document.activeElement.id`); focus != "burst" {
		t.Errorf("after the burst the focus is on %q", focus)
	}
	b.press("#lock", " ")
	b.until("the lock is off", `document.querySelector('#lock').getAttribute('aria-checked') === 'false'`)
	b.shows("#news", "The lock is off.")
	b.press(".replica [data-pause]", " ")
	b.shows("#news", "Replica 1 is paused.")
	b.do(chromedp.KeyEvent(" "))
	b.shows("#news", "Replica 1 is alive.")
	b.peace(false)
}

// contrast lists the texts whose contrast with what is behind them is below WCAG 2.2 AA (1.4.3), by computed styles.
const contrast = `(() => {
	const parse = (c) => { const n = c.match(/[\d.]+/g).map(Number); return c.startsWith('color(') ? [n[0]*255, n[1]*255, n[2]*255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1]; };
	const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1);
	const lum = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = (e) => e ? over(parse(getComputedStyle(e).backgroundColor), behind(e.parentElement)) : [255, 255, 255, 1];
	const bad = [];
	let checked = 0;
	const judge = (e, colour, text) => {
		const style = getComputedStyle(e), back = behind(e), front = over(parse(colour), back);
		const [a, b] = [lum(front), lum(back)].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
		const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
		checked++;
		if (ratio < (large ? 3 : 4.5)) bad.push(text.trim() + ': ' + ratio.toFixed(2));
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement, style = getComputedStyle(e);
		if (!walk.currentNode.data.trim() || style.visibility === 'hidden' || !e.getClientRects().length || e.closest('.hidden, noscript')) continue;
		judge(e, style.color, walk.currentNode.data);
	}
	for (const e of document.querySelectorAll('input')) judge(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
	return {bad, checked};
})()`

// TestContrast measures every text in both colour schemes: at rest, during a burst, and with everything broken.
func TestContrast(t *testing.T) {
	t.Parallel()
	for _, dark := range []bool{false, true} {
		name := map[bool]string{false: "light", true: "dark"}[dark]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browserOf(t, startDemo(t, "-think", "300ms"), window{width: 1280, height: 900, dark: dark})
			measure := func(when string) {
				t.Helper()
				got := eval[struct {
					Bad     []string `json:"bad"`
					Checked int      `json:"checked"`
				}](b, "%s", contrast)
				if got.Checked < 100 {
					t.Errorf("%s: only %d texts were measured", when, got.Checked)
				}
				for _, text := range got.Bad {
					t.Errorf("%s: too little contrast: %s", when, text)
				}
			}
			if dark != eval[bool](b, `matchMedia('(prefers-color-scheme: dark)').matches`) {
				t.Fatal("the colour scheme is the wrong one")
			}
			measure("at rest")
			b.click(`[data-add="rope"]`)
			b.shows("#found", "1")
			b.shoot(name)
			b.click("#burst")
			b.until("a line forms", lineForms)
			measure("during a burst")
			b.shoot("burst-" + name)
			b.until("the burst is over", burstIsOver)
			measure("after the burst")
			b.shoot("after-" + name)
			b.click("#lock")
			b.shows("#holder", "no lock")
			b.click("#burst")
			b.until("updates vanish", `document.querySelector('#result').textContent.includes('vanished')`)
			b.click(".replica:nth-child(1) [data-pause]")
			b.click(".replica:nth-child(2) [data-kill]")
			b.click("#cut")
			b.until("all is broken", `document.querySelector('[data-state="stopped"]') && document.querySelector('[data-state="paused"]') && document.querySelector('[data-cut="true"]')`)
			measure("broken")
			if cut := b.clipped(); len(cut) > 0 {
				t.Errorf("cut off: %q", cut)
			}
			b.shoot("broken-" + name)
			b.peace(true)
			b.still()
		})
	}
}

// clipped lists the texts that do not fit into their place.
func (b *tab) clipped() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll('.figures p, .figures b, dd, h3, button, .slot span, .state, .result')].filter((e) =>
		(e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 2) && getComputedStyle(e).display !== 'inline').map((e) => e.outerHTML)`)
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for _, dark := range []bool{false, true} {
		b := browserOf(t, startDemo(t), window{width: 360, height: 740, phone: true, dark: dark})
		wide := func(when string) {
			t.Helper()
			if w := eval[int](b, `Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)`); w > 360 {
				over := eval[[]string](b, `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > 361 && !e.closest('.hidden')).map((e) => e.className || e.tagName)`)
				t.Errorf("%s: the page is %d wide: %q", when, w, over)
			}
		}
		wide("at rest")
		small := eval[[]string](b, `[...document.querySelectorAll('button, .button, input')].filter((e) => { const r = e.getBoundingClientRect(); return r.height < 40 || r.width < 44; }).map((e) => e.outerHTML)`)
		if len(small) > 0 {
			t.Errorf("too small for a finger: %q", small)
		}
		if cut := b.clipped(); len(cut) > 0 {
			t.Errorf("cut off: %q", cut)
		}
		b.click("#burst")
		b.until("the burst is over", burstIsOver)
		b.addsUp()
		wide("after a burst")
		b.shoot(fmt.Sprintf("phone-%s", map[bool]string{false: "light", true: "dark"}[dark]))
		b.peace(false)
		b.still()
	}
}

// The cards of the things to try leave no hole at any width.
func TestStepsFillTheirRows(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t), desktop)
	for _, width := range []int64{400, 700, 1100, 1280, 1600} {
		call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
		b.until(fmt.Sprintf("%d wide", width), fmt.Sprintf(`innerWidth === %d`, width))
		holes := eval[[]string](b, `[...document.querySelectorAll('.steps li')].filter((e) => {
			const end = (e) => Math.round(e.getBoundingClientRect().right), next = e.nextElementSibling;
			const last = !next || next.getBoundingClientRect().top > e.getBoundingClientRect().top;
			return last && end(e) !== end(e.parentElement);
		}).map((e) => e.textContent)`)
		if len(holes) > 0 {
			t.Errorf("%d wide: there is a hole behind %q", width, holes)
		}
	}
}

func TestNothingMovesIfUnwanted(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t), window{width: 1280, height: 900, still: true})
	moving := eval[[]string](b, `[...document.querySelectorAll('*')].flatMap((e) => [null, '::before'].map((p) => getComputedStyle(e, p)).filter((s) =>
		s.animationName !== 'none' || s.transitionDuration.split(',').some((d) => parseFloat(d) > 0)).map(() => e.outerHTML))`)
	if len(moving) > 0 {
		t.Errorf("moves although it should not: %q", moving)
	}
}

// TestPolicy holds the page to itself: it may not be made to load anything else, and has nothing inline.
func TestPolicy(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t), desktop)
	if got := eval[string](b, `fetch('/').then((r) => r.headers.get('Content-Security-Policy'))`); !strings.HasPrefix(got, "default-src 'self';") {
		t.Errorf("the policy is %q", got)
	}
	blocked := eval[bool](b, `new Promise((done) => {
		document.addEventListener('securitypolicyviolation', () => done(true));
		const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.head.append(s);
		setTimeout(() => done(false), 20000);
	})`)
	if !blocked || eval[bool](b, `window.ran === true`) {
		t.Error("an inline script ran: the test would not see a violation")
	}
}
