package manager

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// A codec may lose parts of a value without an error: encoding/json replaces bytes that are not UTF-8, gob forgets
// pointers to zero. So that every value comes back equal, or is refused, each type is examined once. Values of most types
// cannot lose anything. Those of doubtful types are decoded again and compared.

// lossCheck describes how a codec of this package treats types, and checks its values.
type lossCheck struct {
	tags     []string       // names of struct tags; the first that a field has counts
	methods  []reflect.Type // interfaces by which types encode themselves, and types that the codec encodes its own way
	pointers bool           // a pointer to zero does not come back as nil
	zones    bool           // times with any offset come back
	varies   bool           // equal values may differ in their bytes

	marshal   func(v any) ([]byte, error)
	unmarshal func(data []byte, v any) error
	suspect   func(data []byte) bool // something may have been lost, whatever the type; may be nil

	types sync.Map // reflect.Type to facts
}

// facts are about the values of a type.
type facts uint8

const (
	doubtful facts = 1 << iota // they may not come back equal
	dated                      // they contain times
	deep                       // they may contain themselves
	varied                     // with a codec that varies, equal ones may differ in their bytes
)

// maxDepth is how deeply values may be nested. It is encoding/json's own bound for what it decodes.
const maxDepth = 10_000

var (
	timeType   = reflect.TypeFor[time.Time]()
	numberType = reflect.TypeFor[json.Number]()
)

// encode encodes a value, to which v may point, and refuses what would not come back.
func (f *lossCheck) encode(v any) ([]byte, error) {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer && !value.IsNil() {
		value = value.Elem()
	}
	if !value.IsValid() {
		return f.marshal(v)
	}
	about := f.about(value.Type())
	if about&(dated|deep) != 0 {
		if l := f.survey(value, 0); l != nil {
			return nil, l
		}
	}
	data, err := f.marshal(v)
	if err != nil || about&doubtful == 0 && (f.suspect == nil || !f.suspect(data)) {
		return data, err
	}
	got := reflect.New(value.Type())
	if err := f.unmarshal(data, got.Interface()); err != nil {
		return nil, &loss{why: fmt.Sprintf("it cannot be decoded again (%T)", err), cause: err}
	}
	if l := f.compare(value, got.Elem()); l != nil {
		return nil, l
	}
	return data, nil
}

// same reports whether data decodes to a value that equals the one v points to, although their encodings differ.
func (f *lossCheck) same(v any, data string) bool {
	value := reflect.ValueOf(v).Elem()
	if !f.varies || f.about(value.Type())&varied == 0 {
		return false
	}
	got := reflect.New(value.Type())
	return f.unmarshal([]byte(data), got.Interface()) == nil && f.compare(value, got.Elem()) == nil
}

// lend returns the bytes that a value is decoded from: a copy if an Unmarshal method of the type may keep them.
func (f *lossCheck) lend(data []byte, v any) []byte {
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer && f.about(t.Elem())&doubtful != 0 {
		return append([]byte(nil), data...)
	}
	return data
}

// about returns what is known about a type.
func (f *lossCheck) about(t reflect.Type) facts {
	if known, ok := f.types.Load(t); ok {
		return known.(facts) //nolint:forcetypeassert // nothing else is stored
	}
	found := f.examine(t, map[reflect.Type]bool{})
	f.types.Store(t, found)
	return found
}

// examine is about without the map of known types. within holds the types around this one.
func (f *lossCheck) examine(t reflect.Type, within map[reflect.Type]bool) facts {
	switch {
	case t == timeType:
		if f.zones {
			return 0
		}
		return dated
	case within[t]:
		return doubtful | deep
	case t == numberType || f.marshals(t):
		return doubtful | varied
	}
	within[t] = true
	defer delete(within, t)
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return 0
	case reflect.Slice, reflect.Array:
		return f.examine(t.Elem(), within)
	case reflect.Map:
		found := varied | f.examine(t.Key(), within) | f.examine(t.Elem(), within)
		if k := t.Key().Kind(); k != reflect.String && (k < reflect.Int || k > reflect.Uint64) {
			found |= doubtful
		}
		return found
	case reflect.Pointer:
		found := f.examine(t.Elem(), within)
		switch t.Elem().Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			found |= doubtful // two kinds of nil
		default:
		}
		if !f.pointers {
			found |= doubtful
		}
		return found
	case reflect.Struct:
		return varied | f.examineFields(t, within)
	default: // among them interfaces, which may hold anything
		return doubtful | deep | varied
	}
}

// examineFields is examine for a struct, which is doubtful unless its fields and tags show that each one is stored.
func (f *lossCheck) examineFields(t reflect.Type, within map[reflect.Type]bool) (found facts) {
	names := map[string]bool{}
	for field := range t.Fields() {
		if !f.stores(field) {
			continue
		}
		name, options, _ := strings.Cut(f.tag(field), ",")
		if name == "" {
			name = field.Name
		}
		name = strings.ToLower(name) // decoders take any case
		if names[name] || field.Anonymous || !keys.IsBase64(name) || options != "" && options != "omitempty" {
			found |= doubtful
		}
		names[name] = true
		found |= f.examine(field.Type, within)
	}
	if len(names) == 0 && t.NumField() > 0 {
		found |= doubtful
	}
	return found
}

// tag returns what a field says about how it is encoded.
func (f *lossCheck) tag(field reflect.StructField) string {
	for _, key := range f.tags {
		if text, ok := field.Tag.Lookup(key); ok {
			return text
		}
	}
	return ""
}

// stores reports whether a field is meant to be stored: it is exported, and no tag excludes it. An embedded struct is, if
// one of its fields is.
func (f *lossCheck) stores(field reflect.StructField) bool {
	t := field.Type
	switch {
	case f.tag(field) == "-":
		return false
	case !field.Anonymous || t.Kind() != reflect.Struct || f.marshals(t):
		return field.IsExported() || field.Anonymous && t.Kind() == reflect.Pointer
	}
	return f.storesAny(t)
}

func (f *lossCheck) storesAny(t reflect.Type) bool {
	for field := range t.Fields() {
		if f.stores(field) {
			return true
		}
	}
	return false
}

// marshals reports whether a type, or a pointer to it, encodes or decodes itself.
func (f *lossCheck) marshals(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	for _, m := range f.methods {
		if t == m || m.Kind() == reflect.Interface && (t.Implements(m) || reflect.PointerTo(t).Implements(m)) {
			return true
		}
	}
	return false
}

// survey examines a value before it is encoded: for times that would be changed, and for cycles, on which an encoder would
// not end.
func (f *lossCheck) survey(v reflect.Value, depth int) *loss {
	t := v.Type()
	switch {
	case depth > maxDepth:
		return &loss{why: "it contains itself, or is nested too deeply"}
	case t == timeType:
		return surveyTime(v)
	case f.about(t)&(dated|deep) == 0 || f.marshals(t):
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return f.survey(v.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if l := f.survey(v.Index(i), depth+1); l != nil {
				return l.at(fmt.Sprintf("[%d]", i))
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if l := f.survey(it.Value(), depth+1); l != nil {
				return l.at("[...]")
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); f.stores(field) {
				if l := f.survey(v.Field(i), depth+1); l != nil {
					return l.at("." + field.Name)
				}
			}
		}
	default:
	}
	return nil
}

// surveyTime refuses times that RFC 3339 cannot represent.
func surveyTime(v reflect.Value) *loss {
	if !v.CanInterface() {
		return nil
	}
	t := v.Interface().(time.Time) //nolint:forcetypeassert // by its type
	if _, offset := t.Zone(); offset%60 != 0 || max(offset, -offset) >= 24*60*60 || t.Year() < 0 || t.Year() > 9999 {
		return &loss{why: "a time that RFC 3339 cannot represent, by its year or the seconds in its zone's offset; use UTC, or Unix seconds"}
	}
	return nil
}

// loss says why a codec would not keep a value, and at which place in it. It never quotes the value.
type loss struct {
	path  string
	why   string
	cause error
}

func (l *loss) Error() string {
	if l.path == "" {
		return l.why
	}
	return l.path + ": " + l.why
}

func (l *loss) Unwrap() error { return l.cause }

// at puts a step in front of the path. That of a value which contains itself is cut.
func (l *loss) at(step string) *loss {
	if len(l.path) < 200 {
		l.path = step + l.path
	}
	return l
}
