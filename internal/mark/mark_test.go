package mark_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/mark"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ data, kind, value string }{
		{"", "text", ""},
		{`{"a":1}`, "text", `{"a":1}`},
		{"\x01abc", "gob", "\x01abc"},
		{"\x02abc", "cbor", "\x02abc"},
		{"\x03abc", "encrypted", "\x03abc"},
		{"\x04\x03abc", "text", "\x03abc"},
	} {
		if kind, value := mark.Of(test.data); kind != test.kind || value != test.value {
			t.Errorf("%q: got %s, %q, want %s, %q", test.data, kind, value, test.kind, test.value)
		}
	}
}
