package invalidate_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/invalidate"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for payload, want := range map[string]invalidate.Message{
		"iAbc-_9 0":               {Kind: 'i', ID: "Abc-_9"},
		"ix 18446744073709551615": {Kind: 'i', ID: "x", Counter: math.MaxUint64},
		"gnode.random":            {Kind: 'g', Token: "node.random"},
		"pNODE 12.0":              {Kind: 'p', Instance: "NODE", Round: 12},
		"pNODE 12.16383":          {Kind: 'p', Instance: "NODE", Round: 12, Master: 16383},
		"i" + strings.Repeat("x", invalidate.MaxIDLen) + " 1": {
			Kind: 'i', ID: strings.Repeat("x", invalidate.MaxIDLen), Counter: 1,
		},
	} {
		if got, err := invalidate.Parse(payload); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", payload, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{
		"", "i", "ix", "ix ", "i 1", "ix  1", "ix 1 ", "ix +1", "ix -1", "ix 01", "ix 1e+15", "ix 5.0",
		"ix 18446744073709551616", "ix\x00 1", "i\u00e9 1",
		"i" + strings.Repeat("x", invalidate.MaxIDLen+1) + " 1",
		"g", "ga b", "g\n", "g" + strings.Repeat("x", invalidate.MaxTokenLen+1),
		"p", "pN", "pN 1", "pN 1.", "pN .1", "p 1.1", "pN 1.16384", "pN 1.1.1", "pN x.1",
	} {
		got, err := invalidate.Parse(payload)
		if !errors.Is(err, invalidate.ErrMalformed) {
			t.Errorf("Parse(%q) = %+v, %v; want ErrMalformed", payload, got, err)
		}
		want := invalidate.Message{}
		if payload != "" {
			want.Kind = invalidate.Kind(payload[0])
		}
		if got != want {
			t.Errorf("Parse(%q) returns %+v with an error", payload, got)
		}
	}
	for _, payload := range []string{"z", "Ix 1", " ", "\xff", "zsomething newer"} {
		if got, err := invalidate.Parse(payload); !errors.Is(err, invalidate.ErrUnknownKind) {
			t.Errorf("Parse(%q) = %+v, %v; want ErrUnknownKind", payload, got, err)
		}
	}
}

// Whatever is accepted has one spelling, the one that the encoders write.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "ix 1", "gt", "pN 1.0", "z", "i  ", "ix 01", "pN 1.99999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := invalidate.Parse(payload)
		if err != nil {
			if !errors.Is(err, invalidate.ErrMalformed) && !errors.Is(err, invalidate.ErrUnknownKind) {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		var again string
		switch m.Kind {
		case invalidate.KindInvalidation:
			again = invalidate.EncodeInvalidation(m.ID, m.Counter)
		case invalidate.KindGrant:
			again = invalidate.EncodeGrant(m.Token)
		case invalidate.KindProbe:
			again = invalidate.EncodeProbe(m.Instance, m.Round, m.Master)
		}
		if again != payload {
			t.Fatalf("%q became %q", payload, again)
		}
	})
}
