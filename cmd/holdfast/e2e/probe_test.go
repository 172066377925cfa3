package e2e_test

import "testing"

func TestProbe(t *testing.T) {
	b := browserOf(t, startDemo(t), desktop)
	b.shoot("0-first")
	b.click(`[data-add="rope"]`)
	b.shows("#found", "1")
	b.click("#crowd")
	b.until("contention", `document.querySelectorAll('.slot.full').length >= 3`)
	b.shoot("1-crowd")
	b.until("done", `document.querySelector('#result').textContent.includes('of 20')`)
	b.shoot("2-after")
	b.click("#lock")
	b.shows("#holder", "no lock")
	b.click("#crowd")
	b.until("done", `document.querySelector('#result').textContent.includes('vanished')`)
	b.shoot("3-unlocked")
	b.peace(false)
	b.still()
}
