package manager

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
)

// Codec turns values into bytes and back. It must be safe for concurrent use. An error of Marshal
// fails the commit with ErrEncode. An error of Unmarshal is ErrDecode, see [Key.Lookup].
//
// [JSON], [Gob] and [CBOR] keep what they accept: a value comes back equal, or Marshal returns an
// error that names the place in the value that would be lost. Equal means in all exported fields.
// Fields that are unexported, or excluded by a tag, are not stored, as in encoding/json. An empty
// slice or map may come back as nil, and the other way round. A time comes back as the same
// instant, without its monotonic clock and the name of its zone. A type that encodes itself is
// compared with its method Equal or Cmp if it has one, and otherwise by its encoding. If a struct
// inherits that from an embedded field, its other fields are compared too. What an interface holds
// comes back with the same type, or is refused.
//
// A Codec of your own has to ensure that itself.
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// JSON is the default codec. It uses encoding/json, so values can be read with redis-cli and from
// other languages. Unknown fields are ignored and missing ones stay zero, so releases with
// different fields can run side by side.
//
// It refuses strings that are not UTF-8, which encoding/json would change; use []byte for those. In
// an interface only float64, string, bool, nil, []any and map[string]any come back unchanged, so it
// refuses everything else there.
type JSON struct{}

var _ Codec = JSON{}

var jsonLossCheck = &lossCheck{
	tags: []string{"json"},
	methods: []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	},
	pointers: true,
	marshal:  json.Marshal, unmarshal: json.Unmarshal, suspect: replaced,
}

// Marshal implements Codec. A pointer to a value gives what the value gives.
func (JSON) Marshal(v any) ([]byte, error) {
	switch v := v.(type) { // the bytes that encoding/json writes, faster
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case *int:
		if v != nil {
			return strconv.AppendInt(nil, int64(*v), 10), nil
		}
	case *int64:
		if v != nil {
			return strconv.AppendInt(nil, *v, 10), nil
		}
	case *bool:
		if v != nil {
			return strconv.AppendBool(nil, *v), nil
		}
	}
	return jsonLossCheck.encode(v)
}

// replaced reports whether encoding/json may have replaced bytes that are not UTF-8. It writes them as this escape, and
// writes the character U+FFFD itself without one.
func replaced(data []byte) bool { return bytes.Contains(data, []byte(`\ufffd`)) }

// Unmarshal implements Codec.
func (JSON) Unmarshal(data []byte, v any) error {
	switch v := v.(type) {
	case *int:
		if n, ok := parseInt(data, strconv.IntSize); ok {
			*v = int(n)
			return nil
		}
	case *int64:
		if n, ok := parseInt(data, 64); ok {
			*v = n
			return nil
		}
	case *bool:
		switch string(data) {
		case "true":
			*v = true
			return nil
		case "false":
			*v = false
			return nil
		}
	}
	return json.Unmarshal(jsonLossCheck.lend(data, v), v)
}

// parseInt reads an integer as Marshal writes it. It leaves other spellings to encoding/json, since strconv accepts some
// that JSON does not.
func parseInt(data []byte, bits int) (int64, bool) {
	n, err := strconv.ParseInt(string(data), 10, bits)
	if err != nil {
		return 0, false
	}
	var buf [20]byte
	return n, string(strconv.AppendInt(buf[:0], n, 10)) == string(data)
}
