package manager

import (
	"bytes"
	"strings"
	"testing"
)

func testVault(tb testing.TB, keys ...byte) *sealer {
	tb.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte{k}, 32))
	}
	v, err := newSealer(all, "test")
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func FuzzSealerOpen(f *testing.F) {
	v := testVault(f, 1, 2)
	good := v.seal("text", "", "here")
	f.Add(good, "here")
	f.Add(good, "there")
	f.Add(good[:20], "here")
	f.Add("\x03", "")
	f.Add("", "")
	f.Add(testVault(f, 3).seal("text", "", "here"), "here")
	f.Fuzz(func(t *testing.T, sealed, context string) {
		// Each process of a fuzzing run has sealed the same text with a nonce of its own.
		if text, err := v.open(sealed, "", context); err == nil && (context != "here" || text != "text") {
			t.Fatalf("%q in %q opens as %q", sealed, context, text)
		}
	})
}

// Whatever a codec writes comes back, with and without encryption, and neither is taken for the other.
func FuzzStoredValue(f *testing.F) {
	plain, secret := &policy{}, &policy{values: testVault(f, 1)}
	for _, seed := range []string{"", "1", "\x03", "\x04", "\x04\x03", "\x03" + strings.Repeat("x", 40), `{"a":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for what, m := range map[string]*policy{"plain": plain, "encrypted": secret} {
			if got, err := m.openValue("id", "key", m.sealValue("id", "key", text)); got != text || err != nil {
				t.Fatalf("%s: %q became %q, %v", what, text, got, err)
			}
		}
		if got, err := plain.openValue("id", "key", secret.sealValue("id", "key", text)); err == nil {
			t.Fatalf("%q: encrypted, and read without keys as %q", text, got)
		}
		if got, err := secret.openValue("id", "key", plain.sealValue("id", "key", text)); err == nil {
			t.Fatalf("%q: stored in plain text, and read with keys as %q", text, got)
		}
		_, _ = plain.openValue("id", "key", text)
	})
}

// BenchmarkThreeValues is what signing and encrypting adds to a request that reads one small value and sets three, two
// of them to something else: one signature, four values opened and two sealed. Redis is left out, since its round trips
// would drown the difference.
func BenchmarkThreeValues(b *testing.B) {
	ts := newTokens(tokenKeys[:1])
	text := ts.issue(newID()).text
	m := &policy{values: testVault(b, 1)}
	id := text[:idLen]
	stored := m.sealValue(id, "name", `"Ada Lovelace"`)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ts.parse(text); !ok {
			b.Fatal("not taken")
		}
		for range 4 {
			if _, err := m.openValue(id, "name", stored); err != nil {
				b.Fatal(err)
			}
		}
		for range 2 {
			m.sealValue(id, "name", `"Ada Lovelace"`)
		}
	}
}
