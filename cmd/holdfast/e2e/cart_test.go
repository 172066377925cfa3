package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// each runs a test over the Redis inside the demo and over a real one.
func each(t *testing.T, test func(t *testing.T, args ...string)) {
	t.Run("embedded", func(t *testing.T) { test(t) })
	t.Run("redis", func(t *testing.T) { test(t, "-redis", redistest.Shared(t).Addr(t)) })
}

// Scripts that tests share.
const (
	burstIsOver = `/of 20 clicks acknowledged/.test(document.querySelector('#result').textContent)`
	lineForms   = `document.querySelectorAll('.slot.full').length >= 3`
)

// onceHeld clicks a button of the replica that holds the lock, as soon as one does. It is the page's own script that
// looks, since a test would be too slow.
func (b *tab) onceHeld(button string) {
	b.t.Helper()
	eval[bool](b, `!!(window.looking = setInterval(() => {
		const found = document.querySelector('.replica.holding [%s]');
		if (found) { clearInterval(window.looking); found.click(); }
	}, 5))`, button)
}

// addsUp checks the page's own figures, and what the shop says is in the cart.
func (b *tab) addsUp() (expected, found int) {
	b.t.Helper()
	said := strings.TrimSpace(eval[string](b, `fetch('/cart').then((r) => r.text())`))
	b.shows("#found", said)
	// What the page shows may be from between the last commit and its answer.
	b.shows("#expected", fmt.Sprint(eval[int](b, `fetch('/live/state?session=' + document.querySelector('#id').textContent)
		.then((r) => r.json()).then((s) => s.account.acknowledged)`)))
	b.shows("#lost", "0")
	unanswered := 0
	_, _ = fmt.Sscan(b.text("#open"), &unanswered) // "none" is no number
	expected, found = b.number("#expected"), b.number("#found")
	if found < expected || found > expected+unanswered {
		b.t.Errorf("%d acknowledged, %d without an answer, but %d in the cart", expected, unanswered, found)
	}
	return expected, found
}

func TestTabsShareOneCart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, args ...string) {
		first := browserOf(t, startDemo(t, append(args, "-think", "200ms")...), desktop)
		tabs := []*tab{first, first.another(), first.another()}
		first.click(`[data-add="rope"]`)
		for _, b := range tabs {
			b.shows("#found", "1")
			b.until("a session", `document.querySelector('#id').textContent.length === 22`)
		}
		for range 3 {
			for _, b := range tabs {
				b.click(`[data-add="anchor"]`)
			}
		}
		for _, b := range tabs {
			b.shows("#expected", "10")
			b.shows(`[data-sku="anchor"]`, "9")
			if got := b.text("#id"); got != first.text("#id") {
				t.Errorf("one tab has session %s, another %s", got, first.text("#id"))
			}
			b.still()
		}
		// Two of the tabs send their bursts at the same time.
		tabs[0].click("#burst")
		tabs[1].click("#burst")
		tabs[0].until("a line forms", lineForms)
		tabs[0].shoot("contention")
		for _, b := range tabs[:2] {
			b.until("the burst is over", burstIsOver)
			if got := b.text("#result"); !strings.HasPrefix(got, "20 of 20 clicks acknowledged: nothing lost.") {
				t.Errorf("the page says %q", got)
			}
		}
		if expected, found := tabs[2].addsUp(); expected != 50 || found != 50 {
			t.Errorf("%d acknowledged, %d found, want 50", expected, found)
		}
		if v := tabs[2].text("#version"); v != "50" {
			t.Errorf("the version is %s, want one per click", v)
		}
		first.peace(false)
		for _, b := range tabs {
			b.still()
		}
	})
}

func TestReplicaIsKilledAmongManyRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, args ...string) {
		b := browserOf(t, startDemo(t, append(args, "-think", "300ms")...), desktop)
		b.click(`[data-add="rope"]`)
		b.shows("#found", "1")
		b.onceHeld("data-kill")
		b.click("#burst")
		b.until("the holder is killed", `document.querySelector('[data-state="stopped"]')`)
		b.shoot("killed")
		b.until("the burst is over", burstIsOver)
		b.addsUp()
		b.until("the button is free", `document.querySelector('[data-state="stopped"] [data-kill]:not([aria-disabled])')`)
		b.click(`[data-state="stopped"] [data-kill]`)
		b.until("it is started", `!document.querySelector('[data-state="stopped"]')`)
		b.click("#burst")
		b.until("another burst is over", `document.querySelector('#burst').getAttribute('aria-disabled') !== 'true' && `+burstIsOver)
		if got := b.text("#result"); !strings.HasPrefix(got, "20 of 20 clicks acknowledged: nothing lost.") {
			t.Errorf("after the start the page says %q", got)
		}
		b.addsUp()
		b.peace(true)
		b.still()
	})
}

func TestReplicaIsPausedWithTheLock(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t, "-think", "4s"), desktop)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	b.onceHeld("data-pause")
	b.click(`[data-add="rope"]`)
	b.until("the holder is paused", `document.querySelector('[data-state="paused"]')`)
	b.click(`[data-add="anchor"]`)
	b.shows("#found", "2") // once the lock has expired
	b.shows(`[data-sku="anchor"]`, "1")
	b.shoot("paused")
	b.click(`[data-state="paused"] [data-pause]`)
	b.until("the late write is refused", `document.querySelector('#result').textContent.startsWith('Refused with status 409')`)
	b.until("the event log tells why", `document.querySelector('.eventlog li.bad [data-is="what"]:not(:empty)')`)
	if expected, found := b.addsUp(); expected != 2 || found != 2 {
		t.Errorf("%d acknowledged, %d found, want 2", expected, found)
	}
	b.peace(true)
	b.still()
}

func TestRedisIsCutOff(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t), desktop)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	b.click("#cut")
	b.shows("#reach", "cut off")
	b.until("no replica claims to be fresh", `[...document.querySelectorAll('[data-is="fresh"]')].every((e) => e.textContent === 'no proof')`)
	b.click(`[data-add="rope"]`)
	b.until("the click is refused", `document.querySelector('#result').textContent.startsWith('Refused with status 503')`)
	b.shoot("cut")
	b.click("#cut")
	b.shows("#reach", "reachable")
	b.until("all are fresh again", `[...document.querySelectorAll('[data-is="fresh"]')].every((e) => e.textContent !== 'no proof')`)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "2")
	if expected, _ := b.addsUp(); expected != 2 {
		t.Errorf("%d acknowledged, want 2", expected)
	}
	b.peace(true)
	b.still()
}

func TestWithoutTheLockUpdatesVanish(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, args ...string) {
		b := browserOf(t, startDemo(t, args...), desktop)
		b.click("#lock")
		b.shows("#holder", "no lock")
		b.click("#burst")
		b.until("the burst is over", burstIsOver)
		b.until("the audit counts the lost updates", `((n) => n('#lost') > 0 && n('#lost') === n('#expected') - n('#found'))(
			(id) => Number(document.querySelector(id).textContent))`)
		if got := b.text("#result"); !strings.Contains(got, "vanished") {
			t.Errorf("the page says %q", got)
		}
		b.shoot("unlocked")
		b.click("#lock")
		b.shows("#holder", "none")
		b.click("#burst")
		b.until("the burst is over", `document.querySelector('#burst').getAttribute('aria-disabled') !== 'true' && `+burstIsOver)
		if expected, found := b.addsUp(); expected != 20 || found != 20 {
			t.Errorf("with the lock: %d acknowledged, %d found, want 20", expected, found)
		}
		b.peace(false)
		b.still()
	})
}

// TestRoundTrips counts on the wire, through the page's own figures.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	b := browserOf(t, startDemo(t), desktop)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	// trips is what a request costs when nothing else goes on. A busy machine may renew a lock or lose the proof of being
	// fresh meanwhile, so the cheapest of several counts; it must not be cheaper than promised either.
	trips := func(method, path string, warm int) int {
		return eval[int](b, `(async () => {
			const state = () => fetch('/live/state').then((r) => r.json());
			for (let i = 0; i < %d; i++) await fetch('/badge');
			let least = 99;
			for (let i = 0; i < 6; i++) {
				const before = (await state()).trips;
				await fetch(%q, {method: %q, headers: {Accept: 'text/plain'}});
				least = Math.min(least, (await state()).trips - before);
			}
			return least;
		})()`, warm, path, method)
	}
	if n := trips("POST", "/cart/rope", 0); n != 2 {
		t.Errorf("a click costs %d round trips, want 2", n)
	}
	if n := trips("GET", "/badge", 6); n != 0 {
		t.Errorf("a look at a fresh copy costs %d round trips, want none", n)
	}
	b.until("the event log tells", `document.querySelector('.eventlog').textContent.includes('from its own copy')`)
	before := eval[int](b, `fetch('/live/state').then((r) => r.json()).then((s) => s.replicas.reduce((n, r) => n + r.invalidations, 0))`)
	b.click(`[data-add="rope"]`)
	b.until("the copies elsewhere are dropped", fmt.Sprintf(
		`[...document.querySelectorAll('[data-is="invalidations"]')].reduce((n, e) => n + Number(e.textContent), 0) >= %d`, before+1))
	b.until("one replica has a copy", `[...document.querySelectorAll('[data-is="copy"]')].filter((e) => e.textContent.startsWith('version')).length === 1`)
	b.peace(false)
	b.still()
}
