package manager

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"errors"
	"math"
	"math/big"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/holdfast-go/holdfast/internal/mark"
)

// The binary codecs mark what they write, so that a value of one codec is never taken for one of another. Without a mark,
// CBOR would read a JSON number as another number.
const (
	gobMark  = mark.Gob
	cborMark = mark.CBOR
)

var errOtherCodec = errors.New("written with another codec")

// Gob encodes with encoding/gob. Values in interfaces need gob.Register. Use it for values that
// only Go programs read. A type that was renamed or moved cannot read what it wrote before.
//
// It refuses pointers to zero inside structs, which gob takes for nil, and fields of embedded
// structs whose type is unexported. Gob may encode equal values differently, but setting the value
// that is already there modifies nothing.
type Gob struct{}

var _ Codec = Gob{}

var gobLossCheck = &lossCheck{
	methods: []reflect.Type{
		reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[gob.GobDecoder](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	},
	zones:   true,
	varies:  true,
	marshal: gobMarshal, unmarshal: gobUnmarshal,
}

// Marshal implements Codec. A pointer to a value gives what the value gives, and nil one byte.
func (Gob) Marshal(v any) ([]byte, error) { return gobLossCheck.encode(v) }

// Unmarshal implements Codec.
func (Gob) Unmarshal(data []byte, v any) error { return gobUnmarshal(data, v) }

func gobMarshal(v any) ([]byte, error) {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer {
		value = value.Elem()
	}
	if !value.IsValid() || value.Kind() == reflect.Interface && value.IsNil() {
		return []byte{gobMark}, nil // gob has no nil
	}
	if value.CanAddr() {
		v = value.Addr().Interface() // gob follows one pointer to the methods of a type that encodes itself
	}
	var buf bytes.Buffer
	buf.WriteByte(gobMark)
	err := gob.NewEncoder(&buf).Encode(v)
	return buf.Bytes(), err
}

func gobUnmarshal(data []byte, v any) error {
	switch {
	case len(data) == 0 || data[0] != gobMark:
		return errOtherCodec
	case len(data) == 1:
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
			p.Elem().SetZero()
			return nil
		}
	}
	return gob.NewDecoder(bytes.NewReader(data[1:])).Decode(v)
}

// CBOR encodes in the core deterministic form of RFC 8949: smaller than JSON, faster with bytes and
// times, and readable from other languages. Struct tags are those of encoding/json, or "cbor".
// Hostile CBOR can make the decoder allocate much memory; Config.MaxSessionBytes limits what Redis
// holds.
//
// Strings that are not UTF-8 come back unchanged, but other languages may refuse to read them. In
// an interface, maps come back as map[string]any, lists as []any and numbers as uint64, int64 or
// float64, so it refuses all other types there.
type CBOR struct{}

var _ Codec = CBOR{}

var (
	cborEncode = must(func() (cbor.EncMode, error) {
		opts := cbor.CoreDetEncOptions()
		opts.Time = cbor.TimeRFC3339Nano
		return opts.EncMode()
	}())
	cborDecode = must(cbor.DecOptions{
		UTF8:           cbor.UTF8DecodeInvalid,
		DefaultMapType: reflect.TypeFor[map[string]any](),
		// The decoder reads all that the encoder writes, however large it is.
		MaxNestedLevels: 65535, MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
	}.DecMode())
	cborLossCheck = &lossCheck{
		tags: []string{"cbor", "json"},
		methods: []reflect.Type{
			reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
			reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
			reflect.TypeFor[big.Int](),
		},
		pointers: true,
		marshal:  cborMarshal, unmarshal: cborUnmarshal,
	}
)

// must is for constant options: every test would notice an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Marshal implements Codec. A pointer to a value gives what the value gives.
func (CBOR) Marshal(v any) ([]byte, error) { return cborLossCheck.encode(v) }

// Unmarshal implements Codec.
func (CBOR) Unmarshal(data []byte, v any) error {
	return cborUnmarshal(cborLossCheck.lend(data, v), v)
}

func cborMarshal(v any) ([]byte, error) {
	data, err := cborEncode.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{cborMark}, data...), nil
}

func cborUnmarshal(data []byte, v any) error {
	if len(data) == 0 || data[0] != cborMark {
		return errOtherCodec
	}
	return cborDecode.Unmarshal(data[1:], v)
}
