package scs

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"reflect"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Codec is scs' interface for codecs. It is called with one value at a time, in a map with its key,
// and with the zero time.
type Codec interface {
	Encode(deadline time.Time, values map[string]any) ([]byte, error)
	Decode(data []byte) (deadline time.Time, values map[string]any, err error)
}

// GobCodec encodes with encoding/gob. Values come back with their types, which must be registered with gob.Register
// unless they are basic ones.
type GobCodec struct{}

var _ Codec = GobCodec{}

type gobRecord struct {
	Deadline time.Time
	Values   map[string]any
}

// Encode implements Codec.
func (GobCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(gobRecord{deadline, values})
	return buf.Bytes(), err
}

// Decode implements Codec.
func (GobCodec) Decode(data []byte) (time.Time, map[string]any, error) {
	var r gobRecord
	err := gob.NewDecoder(bytes.NewReader(data)).Decode(&r)
	return r.Deadline, r.Values, err
}

// encodeOne and decodeOne leave out what a lone value does not need, which is most of a small gob.
func (GobCodec) encodeOne(v any) ([]byte, error) {
	var buf bytes.Buffer
	err := gob.NewEncoder(&buf).Encode(&v)
	return buf.Bytes(), err
}

func (GobCodec) decodeOne(data []byte) (v any, err error) {
	err = gob.NewDecoder(bytes.NewReader(data)).Decode(&v)
	return v, err
}

// slot is a value of any type on its way into the session or out of it.
type slot struct {
	key   string // on the way in
	value any
}

// CarriedType makes errors of the manager name the type of the application's value.
func (s slot) CarriedType() string {
	if s.value == nil {
		return ""
	}
	return fmt.Sprintf("%T", s.value)
}

// slotOf is where a key's value is.
func slotOf(key string) manager.Key[slot] { return manager.Key[slot](key) }

// values lets a Manager encode with a Codec of scs. It takes values of other types too, so that a manager.Key reads
// and writes what the application has with Get and Put.
type values struct{ codec Codec }

var _ manager.Codec = values{}

// Marshal implements manager.Codec.
func (c values) Marshal(v any) ([]byte, error) {
	in, ok := v.(slot)
	if !ok {
		in = slot{"value", v}
	}
	if one, ok := c.codec.(GobCodec); ok {
		return one.encodeOne(in.value)
	}
	return c.codec.Encode(time.Time{}, map[string]any{in.key: in.value})
}

// Unmarshal implements manager.Codec.
func (c values) Unmarshal(data []byte, v any) error {
	value, err := c.decode(data)
	if err != nil {
		return err
	}
	if out, ok := v.(*slot); ok {
		out.value = value
		return nil
	}
	to, from := reflect.ValueOf(v).Elem(), reflect.ValueOf(value)
	if !from.IsValid() || !from.Type().AssignableTo(to.Type()) {
		return fmt.Errorf("the value is a %T", value)
	}
	to.Set(from)
	return nil
}

func (c values) decode(data []byte) (any, error) {
	if one, ok := c.codec.(GobCodec); ok {
		return one.decodeOne(data)
	}
	_, all, err := c.codec.Decode(bytes.Clone(data)) // which a Codec of scs may keep
	for _, value := range all {
		return value, err
	}
	return nil, err
}
