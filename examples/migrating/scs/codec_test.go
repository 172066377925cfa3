package scs_test

import (
	"encoding/json"
	"time"

	"github.com/alexedwards/scs/v2"
)

// jsonCodec is what an application on scs writes to store JSON: a Codec of the whole session. Types are lost on the
// way, so its readers have to restore them. Holdfast encodes each value by itself, as JSON unless told otherwise.
type jsonCodec struct{}

var _ scs.Codec = jsonCodec{}

type record struct {
	Deadline time.Time
	Values   map[string]any
}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(record{deadline, values})
}

func (jsonCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var r record
	err := json.Unmarshal(b, &r)
	return r.Deadline, r.Values, err
}

// decodeInto restores the type of a value that came out of jsonCodec.
func decodeInto(v, to any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		panic(err)
	}
}
