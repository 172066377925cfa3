package e2e_test

import "testing"

func TestProbe(t *testing.T) {
	site := startDemo(t)
	b := browserOf(t, site, desktop)
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	b.click("#crowd")
	b.until("contention", `document.querySelectorAll('.slot.full').length >= 3`)
	b.shoot("1-crowd")
	b.until("done", `document.querySelector('#result').textContent.includes('of 20')`)
	b.shoot("2-after")
	b.still()
	d := browserOf(t, site, window{width: 1280, height: 900, dark: true})
	d.click("#lock")
	d.shows("#holder", "no lock")
	d.click("#crowd")
	d.until("done", `document.querySelector('#result').textContent.includes('vanished')`)
	d.click(`.replica:nth-child(2) [data-pause]`)
	d.click(`.replica:nth-child(3) [data-kill]`)
	d.until("stopped", `document.querySelector('[data-state="stopped"]')`)
	d.shoot("3-unlocked")
	d.peace(false)
	d.still()
	p := browserOf(t, site, window{width: 360, height: 740, phone: true})
	p.shoot("4-phone")
	p.still()
}
