package manager

import (
	"encoding/json"
	"strconv"
)

// Codec turns values into bytes and back. It is used by many goroutines at once. Unmarshal must neither change nor keep
// data, which requests share; encoding/json does not. An error of Marshal fails the commit with ErrEncode; one of
// Unmarshal is ErrDecode, see [Key.Lookup].
type Codec interface {
	Marshal(v any) ([]byte, error)
	Unmarshal(data []byte, v any) error
}

// JSON is the default codec: encoding/json, so values stay readable with redis-cli and from other languages. Unknown
// fields are ignored and missing ones stay zero, so releases with different fields can run side by side.
type JSON struct{}

var _ Codec = JSON{}

// Marshal implements Codec.
func (JSON) Marshal(v any) ([]byte, error) {
	switch v := v.(type) { // the same bytes as encoding/json gives, sooner
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	}
	return json.Marshal(v)
}

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
	return json.Unmarshal(data, v)
}

// parseInt reads an integer as Marshal writes it. Other spellings, of which strconv knows some that JSON does not, are
// left to encoding/json.
func parseInt(data []byte, bits int) (int64, bool) {
	n, err := strconv.ParseInt(string(data), 10, bits)
	if err != nil {
		return 0, false
	}
	var buf [20]byte
	return n, string(strconv.AppendInt(buf[:0], n, 10)) == string(data)
}
