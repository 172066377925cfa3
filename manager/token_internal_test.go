package manager

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"
)

var tokenKeys = [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 40)}

func TestTokens(t *testing.T) {
	t.Parallel()
	plain, signed := newTokens(nil), newTokens(tokenKeys)
	for what, ts := range map[string]tokens{"plain": plain, "signed": signed} {
		id := newID()
		a, b := ts.issue(id), ts.issue(id)
		if a.text == b.text || a.hash == b.hash {
			t.Errorf("%s: two tokens of one session are the same", what)
		}
		got, ok := ts.parse(a.text)
		if !ok || got != a {
			t.Errorf("%s: parsed %+v, %v; want %+v", what, got, ok, a)
		}
		for i := range len(a.text) { // one bit of every character
			wrong := []byte(a.text)
			wrong[i] ^= 1
			if got, ok := ts.parse(string(wrong)); ok && (what == "signed" || got.id == a.id && got.hash == a.hash) {
				t.Errorf("%s: with character %d changed it is still good", what, i)
			}
		}
		for i := range len(a.text) {
			if _, ok := ts.parse(a.text[:i]); ok {
				t.Errorf("%s: its first %d characters are a token", what, i)
			}
		}
	}
	if _, ok := plain.parse(signed.issue(newID()).text); ok {
		t.Error("a signed token is a plain one")
	}
	if _, ok := signed.parse(plain.issue(newID()).text); ok {
		t.Error("a plain token is a signed one")
	}
}

func FuzzTokenParse(f *testing.F) {
	plain, signed := newTokens(nil), newTokens(tokenKeys)
	f.Add("")
	f.Add(strings.Repeat(".", 66))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.\r\n\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := plain.parse(text); ok {
			if got.text != text || got.id+"." != text[:23] || strings.ContainsAny(text, " \r\n{}*;,\"\\\x00") || len(text) != 66 {
				t.Fatalf("%q is a token: %+v", text, got)
			}
		}
		if _, ok := signed.parse(text); ok {
			t.Fatalf("%q has a good signature", text)
		}
	})
}

// A token with a forged signature must cost next to nothing: an attacker sends as many as he likes.
func BenchmarkForgedToken(b *testing.B) {
	ts := newTokens(tokenKeys[:1])
	text := []byte(ts.issue(newID()).text)
	text[50]++
	forged := string(text)
	for b.Loop() {
		if _, ok := ts.parse(forged); ok {
			b.Fatal("taken")
		}
	}
}

func BenchmarkGoodToken(b *testing.B) {
	ts := newTokens(tokenKeys[:1])
	text := ts.issue(newID()).text
	for b.Loop() {
		if _, ok := ts.parse(text); !ok {
			b.Fatal("not taken")
		}
	}
}

// The ID outlives the request, so it has memory of its own.
func TestIDIsNoPartOfTheHeader(t *testing.T) {
	t.Parallel()
	ts := newTokens(nil)
	text := ts.issue(newID()).text
	got, ok := ts.parse(text)
	if !ok || unsafe.StringData(got.id) == unsafe.StringData(text) {
		t.Errorf("parsed %+v, %v, which shares the memory of its header", got, ok)
	}
}

// Tokens are from a CSPRNG (see keys.Random) and have the entropy that is documented: no two are the same, and every bit
// of ID and secret is as often set as not.
func TestTokensAreRandom(t *testing.T) {
	t.Parallel()
	ts := newTokens(nil)
	const n = 10_000
	seen := map[string]bool{}
	ones := make([]int, idBits+secretBits)
	for range n {
		tok := ts.issue(newID())
		id, secret, _ := strings.Cut(tok.text, ".")
		a, err := b64.DecodeString(id)
		b, err2 := b64.DecodeString(secret)
		if err != nil || err2 != nil || len(a)*8 != idBits || len(b)*8 != secretBits || seen[id] || seen[secret] {
			t.Fatalf("token %q: %v, %v", tok.text, err, err2)
		}
		seen[id], seen[secret] = true, true
		for i, c := range append(a, b...) {
			for bit := range 8 {
				ones[8*i+bit] += int(c >> bit & 1)
			}
		}
	}
	for bit, got := range ones { // 7 standard deviations: wrong once in 10^9 runs
		if got < n/2-350 || got > n/2+350 {
			t.Errorf("bit %d is set in %d of %d tokens", bit, got, n)
		}
	}
}
