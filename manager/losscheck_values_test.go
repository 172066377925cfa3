package manager_test

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"
)

// shout encodes itself and loses something: the case of its letters.
type shout string

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }

func (s *shout) UnmarshalText(text []byte) error { *s = shout(text); return nil }

func (s shout) MarshalBinary() ([]byte, error) { return s.MarshalText() }

func (s *shout) UnmarshalBinary(b []byte) error { return s.UnmarshalText(b) }

func (s shout) Equal(other shout) bool { return s == other }

func register() {
	gob.Register(map[string]any{})
	gob.Register([]any{})
	gob.Register(inner{})
	gob.Register(time.Time{})
	gob.Register(&big.Int{})
}

// random fills a value with what is likely to be lost.
func random(rng *rand.Rand, v reflect.Value, depth int) {
	if randomOfType(rng.IntN, v) {
		return
	}
	randomOfKind(rng, v)
	randomInside(rng, v, depth)
	if w, ok := v.Addr().Interface().(*wide); ok {
		w.note = "not stored" // as is usual in Go
	}
	if e, ok := v.Addr().Interface().(*embeds); ok {
		e.Lost = []string{"", "promoted"}[rng.IntN(2)]
	}
	if tw, ok := v.Addr().Interface().(*twins); ok {
		tw.left.X = rng.IntN(2)
	}
	if c, ok := v.Addr().Interface().(*closed); ok {
		c.n = rng.IntN(2)
	}
}

// randomOfType sets a value of a type that has notable values, and reports whether it is one.
func randomOfType(pick func(int) int, v reflect.Value) bool {
	lmt := time.FixedZone("LMT", 53*60+28)
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = []time.Time{{}, time.Now(), time.Unix(0, 1).UTC(), time.Date(1880, 1, 2, 3, 4, 5, 6, lmt), time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 999, time.FixedZone("", -5*3600))}[pick(6)]
	case *big.Int:
		p.SetString([]string{"0", "-1", "123456789012345678901234567890"}[pick(3)], 10)
	case *big.Rat:
		if pick(2) == 0 {
			p.SetFrac64(int64(pick(9)), 7)
		}
	case *netip.Addr:
		*p = []netip.Addr{{}, netip.MustParseAddr("::1%eth0"), netip.MustParseAddr("192.0.2.1")}[pick(3)]
	case *json.RawMessage:
		*p = []json.RawMessage{nil, json.RawMessage(`{"a": [1, "<b>"]}`), json.RawMessage("\"\xff\""), json.RawMessage("{")}[pick(4)]
	case *json.Number:
		*p = []json.Number{"", "1.50", "x"}[pick(3)]
	case *url.URL:
		*p = []url.URL{{Scheme: "https", Host: "x"}, {User: url.User("u")}}[pick(2)]
	case *fmt.Stringer:
		*p = []fmt.Stringer{nil, big.NewInt(7)}[pick(2)]
	case **sync.Mutex, *func():
	default:
		return false
	}
	return true
}

// randomOfKind sets a value that contains no other, and an interface.
func randomOfKind(rng *rand.Rand, v reflect.Value) {
	pick := rng.IntN
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(pick(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, math.MinInt64, math.MaxInt64, rng.Int64()}[pick(6)])
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint([]uint64{0, 1, math.MaxUint64, 1 << 53, rng.Uint64()}[pick(5)])
	case reflect.Float32, reflect.Float64:
		v.SetFloat([]float64{0, math.Copysign(0, -1), 0.1, 1e300, 5e-324, math.MaxFloat32, rng.NormFloat64(), math.NaN(), math.Inf(1)}[pick(9)])
	case reflect.Complex128:
		v.SetComplex(complex(float64(pick(2)), 1))
	case reflect.String:
		v.SetString([]string{"", "plain", "ünï <&> \u2028 \x00 \ufffd", `\ufffd`, "\xff\x00secret", "\xed\xa0\x80"}[pick(6)])
	case reflect.Interface:
		v.Set(reflect.ValueOf([]any{"s", "\xff", 7, int64(7), uint64(7), 7.5, true, []byte("b"), []any{"x", nil}, map[string]any{"k": "v", "n": 1.5}, map[string]any{"i": 1}, inner{ID: 1}, time.Unix(1, 0), big.NewInt(5), []string{"a"}}[pick(15)]))
	}
}

// randomInside sets what a value contains.
func randomInside(rng *rand.Rand, v reflect.Value, depth int) {
	pick := rng.IntN
	switch v.Kind() {
	case reflect.Slice:
		if n := pick(4); n > 0 && depth < 4 {
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
		}
		for i := range v.Len() {
			random(rng, v.Index(i), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			random(rng, v.Index(i), depth+1)
		}
	case reflect.Map:
		if pick(3) > 0 && depth < 4 {
			v.Set(reflect.MakeMap(v.Type()))
			for range pick(3) {
				key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				random(rng, key, depth+1)
				random(rng, elem, depth+1)
				v.SetMapIndex(key, elem)
			}
		}
	case reflect.Pointer:
		if pick(2) == 0 && depth < 4 {
			v.Set(reflect.New(v.Type().Elem()))
			random(rng, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				random(rng, v.Field(i), depth+1)
			}
		}
	}
}
