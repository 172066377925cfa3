package manager_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// lossless are the codecs that keep what they accept.
var lossless = map[string]manager.Codec{"JSON": manager.JSON{}, "Gob": manager.Gob{}, "CBOR": manager.CBOR{}}

// equal is what "comes back equal" means, written once more and apart from the product: in exported fields, a nil list or
// map equals an empty one, and a time another of the same instant.
func equal(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	var held any
	if a.CanInterface() {
		held = a.Interface()
	}
	switch v := held.(type) {
	case time.Time:
		return v.Equal(b.Interface().(time.Time))
	case big.Int:
		w := b.Interface().(big.Int)
		return v.Cmp(&w) == 0
	case big.Rat:
		w := b.Interface().(big.Rat)
		return v.Cmp(&w) == 0
	case netip.Addr, url.Userinfo:
		return reflect.DeepEqual(v, b.Interface())
	case json.RawMessage:
		x, errX := json.Marshal(v) // nil is null, and white space does not count
		y, errY := json.Marshal(b.Interface())
		return string(v) == string(b.Bytes()) || errX == nil && errY == nil && string(x) == string(y)
	case shout:
		return v == b.Interface()
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		return a.IsNil() == b.IsNil() && (a.IsNil() || equal(a.Elem(), b.Elem()))
	case reflect.Slice, reflect.Array:
		for i := 0; i < a.Len() && i < b.Len(); i++ {
			if !equal(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Map:
		for _, key := range a.MapKeys() {
			if other := b.MapIndex(key); !other.IsValid() || !equal(a.MapIndex(key), other) {
				return false
			}
		}
		return a.Len() == b.Len()
	case reflect.Struct:
		for i := range a.NumField() {
			if field := a.Type().Field(i); (field.IsExported() || field.Anonymous) && field.Tag.Get("json") != "-" && !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Float32, reflect.Float64:
		return a.Float() == b.Float() || a.Float() != a.Float() && b.Float() != b.Float()
	case reflect.Func, reflect.Chan:
		return a.IsNil() && b.IsNil()
	default:
		return reflect.DeepEqual(a.Interface(), b.Interface())
	}
}

// Types as applications have them, and as they should not.
type (
	inner struct {
		ID   int
		Note string
	}
	Base struct {
		Kind string
		At   time.Time
	}
	hidden struct{ Lost string }
	event  struct {
		time.Time // its methods encode the whole event
		Title     string
	}
	tree struct {
		Name string
		Kids []tree
		Up   *tree
	}
	wide struct {
		Base
		B    bool
		I8   int8
		U64  uint64
		F32  float32
		F64  float64
		S    string `json:"s,omitempty"`
		Raw  []byte
		Arr  [3]int16
		List []inner
		Map  map[string]inner
		Nums map[int64]string
		Ptr  *inner
		PInt *int
		PP   **int
		Dur  time.Duration
		Skip string `json:"-"`
		note string
	}
	embeds struct {
		hidden
		N int
	}
	left  struct{ X int }
	right struct{ X int }
	twins struct { // encoding/json stores neither X
		left
		right
	}
	holds struct {
		Any  any
		Str  fmt.Stringer
		Big  big.Int
		PBig *big.Int
		Bigs map[string]big.Int
		Rat  big.Rat
		Addr netip.Addr
		Fn   func()
		C    complex128
		Msg  json.RawMessage
		Loud shout
		URL  url.URL
		Num  json.Number
		Mu   *sync.Mutex
	}
	closed struct{ n int }
)

// tried counts the outcomes of one type with one codec.
type tried struct{ kept, refused int }

// try sets random values of a type: what is committed comes back equal, and everything else is ErrEncode and names the type.
func try[T any](t *testing.T, what string, m, other *manager.Manager, rng *rand.Rand, rounds int) (n tried) {
	t.Helper()
	var kept []T
	for range rounds {
		var v T
		random(rng, reflect.ValueOf(&v).Elem(), 0)
		_, err := m.Create(t.Context(), func(s *manager.Session) error { manager.Key[T]("k").Set(s, v); return s.Err() })
		if err == nil {
			kept = append(kept, v)
		} else if !errors.Is(err, manager.ErrEncode) || !strings.Contains(err.Error(), reflect.TypeFor[T]().String()) {
			t.Errorf("%s: %#v: %v", what, v, err)
		}
	}
	key := func(i int) manager.Key[T] { return manager.Key[T](fmt.Sprint("k", i)) }
	id, err := m.Create(t.Context(), func(s *manager.Session) error {
		for i, v := range kept {
			key(i).Set(s, v)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if len(kept) == 0 {
		return tried{0, rounds}
	}
	err = other.Update(t.Context(), id, func(s *manager.Session) error {
		for i, v := range kept {
			got, ok, err := key(i).Lookup(s)
			if err != nil || !ok || !equal(reflect.ValueOf(&v).Elem(), reflect.ValueOf(&got).Elem()) {
				t.Errorf("%s: %#v became %#v, %v, %v", what, v, got, ok, err)
			}
			if key(i).Set(s, got); s.Status() != manager.Unmodified || s.Err() != nil {
				t.Errorf("%s: setting what is there: %v, %v: %#v", what, s.Status(), s.Err(), got)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return tried{len(kept), rounds - len(kept)}
}

// What Set accepted and the commit acknowledged comes back equal on another replica, in every codec, encrypted or not, and
// everything else was ErrEncode. Setting what came back modifies nothing.
func TestValuesComeBackEqual(t *testing.T) {
	t.Parallel()
	register()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for codec, c := range lossless {
			for _, keys := range [][]byte{nil, {1}} {
				with := func(cfg *manager.Config) { cfg.Codec = c }
				m, other := on(t, b, with, encrypted(keys...)), on(t, b, with, encrypted(keys...))
				rng := rand.New(rand.NewPCG(7, uint64(len(keys))))
				all := map[string]tried{
					"string":     try[string](t, codec+" string", m, other, rng, 12),
					"strings":    try[[]string](t, codec+" strings", m, other, rng, 12),
					"bytes":      try[[]byte](t, codec+" bytes", m, other, rng, 8),
					"keys":       try[map[string]int](t, codec+" keys", m, other, rng, 12),
					"int":        try[int](t, codec+" int", m, other, rng, 8),
					"int64":      try[int64](t, codec+" int64", m, other, rng, 8),
					"uint64":     try[uint64](t, codec+" uint64", m, other, rng, 8),
					"uint8":      try[uint8](t, codec+" uint8", m, other, rng, 8),
					"float64":    try[float64](t, codec+" float64", m, other, rng, 20),
					"float32":    try[float32](t, codec+" float32", m, other, rng, 20),
					"time":       try[time.Time](t, codec+" time", m, other, rng, 20),
					"times":      try[map[string][]Base](t, codec+" times", m, other, rng, 20),
					"pointer":    try[*inner](t, codec+" pointer", m, other, rng, 12),
					"pointers":   try[[]*int](t, codec+" pointers", m, other, rng, 12),
					"nil":        try[**int](t, codec+" **int", m, other, rng, 12),
					"big":        try[big.Int](t, codec+" big.Int", m, other, rng, 8),
					"*big":       try[*big.Int](t, codec+" *big.Int", m, other, rng, 8),
					"bigs":       try[map[string]big.Int](t, codec+" bigs", m, other, rng, 8),
					"rat":        try[big.Rat](t, codec+" big.Rat", m, other, rng, 8),
					"addr":       try[netip.Addr](t, codec+" netip.Addr", m, other, rng, 8),
					"raw":        try[json.RawMessage](t, codec+" raw", m, other, rng, 12),
					"any":        try[any](t, codec+" any", m, other, rng, 20),
					"map any":    try[map[string]any](t, codec+" map any", m, other, rng, 20),
					"stringer":   try[fmt.Stringer](t, codec+" fmt.Stringer", m, other, rng, 4),
					"wide":       try[wide](t, codec+" wide", m, other, rng, 40),
					"tree":       try[tree](t, codec+" tree", m, other, rng, 20),
					"embeds":     try[embeds](t, codec+" embeds", m, other, rng, 8),
					"twins":      try[twins](t, codec+" twins", m, other, rng, 8),
					"holds":      try[holds](t, codec+" holds", m, other, rng, 40),
					"closed":     try[closed](t, codec+" closed", m, other, rng, 8),
					"shout":      try[shout](t, codec+" shout", m, other, rng, 12),
					"shouts":     try[map[string]shout](t, codec+" shouts", m, other, rng, 12),
					"arrays":     try[[2][2]inner](t, codec+" arrays", m, other, rng, 12),
					"deep":       try[map[string]map[string][]string](t, codec+" deep", m, other, rng, 12),
					"structs":    try[map[int64]*Base](t, codec+" structs", m, other, rng, 12),
					"interfaces": try[[]any](t, codec+" []any", m, other, rng, 20),
				}
				for what, n := range all {
					if alwaysKept := map[string]bool{"bytes": true, "int": true, "int64": true, "uint64": true, "uint8": true, "*big": true, "addr": true}; alwaysKept[what] && n.refused > 0 {
						t.Errorf("%s refuses %d values of type %s", codec, n.refused, what)
					}
					if never := map[string]bool{"stringer": true, "twins": true, "holds": true, "closed": codec == "Gob"}; n.kept == 0 && !never[what] {
						t.Errorf("%s keeps no value of type %s", codec, what)
					}
				}
			}
		}
	})
}

// The error names the type, and where in it something would be lost, and quotes nothing of the value.
func TestLostValuesAreNamed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		loop := tree{Name: "s3cr3t"}
		loop.Up = &loop
		zero := 0
		var cyclic any
		list := []any{nil}
		list[0] = &list
		cyclic = list
		lmt := time.Date(1880, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 53*60+28))
		for _, c := range []struct {
			codec manager.Codec
			set   func(s *manager.Session)
			want  string
		}{
			{manager.JSON{}, func(s *manager.Session) { flash.Set(s, "s3cr3t\xff") }, `as string: a string that is not UTF-8; use \[\]byte`},
			{manager.JSON{}, func(s *manager.Session) {
				manager.Key[map[string]wide]("k").Set(s, map[string]wide{"s3cr3t": {List: []inner{{}, {Note: "\xff"}}}})
			}, `as map\[string\]manager_test.wide: \[...\]\.List\[1\]\.Note: a string that is not UTF-8`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[map[string]int]("k").Set(s, map[string]int{"s3cr3t\xff": 1}) }, `\[...\]: a key that is not UTF-8`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[map[string]any]("k").Set(s, map[string]any{"n": 1}) }, `\[...\]: an interface holds int and would come back with float64`},
			{manager.CBOR{}, func(s *manager.Session) { manager.Key[any]("k").Set(s, 7) }, `as interface {}: an interface holds int and would come back with uint64`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[Base]("k").Set(s, Base{At: lmt}) }, `as manager_test.Base: \.At: a time that RFC 3339 cannot represent`},
			{manager.CBOR{}, func(s *manager.Session) { manager.Key[[]time.Time]("k").Set(s, []time.Time{{}, lmt}) }, `\[1\]: a time`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[*big.Float]("k").Set(s, big.NewFloat(1.0/3)) }, `as \*big.Float: it would not come back`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[[]*big.Float]("k").Set(s, []*big.Float{big.NewFloat(1.0 / 3)}) }, `\[0\]: it would not`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[closed]("k").Set(s, closed{1}) }, `manager_test.closed has no exported field`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[twins]("k").Set(s, twins{left{1}, right{2}}) }, `\.left\.X: it would not come back`},
			{manager.Gob{}, func(s *manager.Session) { manager.Key[wide]("k").Set(s, wide{PInt: &zero}) }, `\.PInt: it would not come back`},
			{manager.Gob{}, func(s *manager.Session) { manager.Key[embeds]("k").Set(s, embeds{hidden{"s3cr3t"}, 1}) }, `\.hidden\.Lost: it would not`},
			{manager.JSON{}, func(s *manager.Session) { manager.Key[event]("k").Set(s, event{Title: "s3cr3t"}) }, `as manager_test.event: \.Title: .* name that field`},
			{manager.Gob{}, func(s *manager.Session) { manager.Key[[]event]("k").Set(s, []event{{}, {Title: "s3cr3t"}}) }, `\[1\]\.Title: `},
			{manager.CBOR{}, func(s *manager.Session) { manager.Key[*event]("k").Set(s, &event{Title: "s3cr3t"}) }, `\.Title: `},
			{manager.Gob{}, func(s *manager.Session) { manager.Key[tree]("k").Set(s, loop) }, `\.Up\.Up.*: it contains itself`},
			{manager.CBOR{}, func(s *manager.Session) { manager.Key[*tree]("k").Set(s, &loop) }, `it contains itself`},
			{manager.CBOR{}, func(s *manager.Session) { manager.Key[any]("k").Set(s, cyclic) }, `it contains itself`},
			{manager.Gob{}, func(s *manager.Session) { manager.Key[any]("k").Set(s, cyclic) }, `it contains itself`},
		} {
			m := on(t, b, func(cfg *manager.Config) { cfg.Codec = c.codec })
			_, err := m.Create(t.Context(), func(s *manager.Session) error { c.set(s); return nil })
			if !errors.Is(err, manager.ErrEncode) || !regexp.MustCompile(c.want).MatchString(err.Error()) || strings.Contains(err.Error(), "s3cr3t") || !utf8.ValidString(err.Error()) {
				t.Errorf("%T: got %v, want %s", c.codec, err, c.want)
			}
		}
	})
}

// What a codec can keep is not refused only because it is large, empty or nil.
func TestNoGoodValueIsRefused(t *testing.T) {
	t.Parallel()
	register()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		long := make([]int, 200_000)
		pairs := make(map[int]bool, 140_000)
		for i := range 140_000 {
			pairs[i] = true
		}
		nested := tree{}
		for range 500 {
			nested = tree{Kids: []tree{nested}}
		}
		for what, codec := range lossless {
			m := on(t, b, func(cfg *manager.Config) { cfg.Codec, cfg.MaxSessionBytes = codec, -1 })
			_, err := m.Create(t.Context(), func(s *manager.Session) error {
				manager.Key[[]int]("long").Set(s, long)
				manager.Key[map[int]bool]("pairs").Set(s, pairs)
				manager.Key[tree]("nested").Set(s, nested)
				manager.Key[*big.Int]("nil").Set(s, nil)
				manager.Key[any]("any").Set(s, nil)
				manager.Key[any]("text").Set(s, "hello")
				manager.Key[map[string]any]("map").Set(s, map[string]any{"a": map[string]any{"b": []any{"c", true, 1.5}}})
				manager.Key[big.Int]("big").Set(s, *big.NewInt(7))
				manager.Key[time.Time]("now").Set(s, time.Now())
				manager.Key[event]("event").Set(s, event{Time: time.Now()})
				return s.Err()
			})
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// An UnmarshalJSON that keeps the bytes it is given keeps a copy: changing them changes no session.
func TestUnmarshalersGetACopy(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		m := on(t, b)
		key := manager.Key[keeping]("k")
		token := do(m, "", func(s *manager.Session) { key.Set(s, keeping{}) })
		for range 2 {
			visit(m, m.ReadOnly, token, func(s *manager.Session) {
				v, ok, err := key.Lookup(s)
				if !ok || err != nil || string(v.b) != `"user"` {
					t.Fatalf("%s, %v, %v", v.b, ok, err)
				}
				copy(v.b[1:], "root")
			})
		}
	})
}

type keeping struct{ b []byte }

func (k *keeping) UnmarshalJSON(b []byte) error { k.b = b; return nil }
func (k keeping) MarshalJSON() ([]byte, error)  { return []byte(`"user"`), nil }
