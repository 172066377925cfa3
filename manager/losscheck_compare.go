package manager

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// compare returns the place at which b, which came back, is not equal to a, or nil if they are equal. [Codec] defines equal.
func (f *lossCheck) compare(a, b reflect.Value) *loss {
	t := a.Type()
	switch {
	case t == timeType:
		return lossUnless(a.Interface().(time.Time).Equal(b.Interface().(time.Time))) //nolint:forcetypeassert // by its type
	case f.marshals(t):
		return f.compareOwn(a, b)
	}
	switch t.Kind() {
	case reflect.String:
		if a.String() != b.String() && !utf8.ValidString(a.String()) {
			return &loss{why: "a string that is not UTF-8; use []byte"}
		}
		return lossUnless(a.String() == b.String())
	case reflect.Float32, reflect.Float64:
		return lossUnless(a.Float() == b.Float() || math.IsNaN(a.Float()) && math.IsNaN(b.Float()))
	case reflect.Pointer, reflect.Interface:
		return f.compareHeld(a, b)
	case reflect.Slice, reflect.Array:
		return f.compareElements(a, b)
	case reflect.Map:
		return f.compareMaps(a, b)
	case reflect.Struct:
		return f.compareFields(a, b)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return lossUnless(a.IsZero() && b.IsZero())
	default:
		return lossUnless(a.Equal(b))
	}
}

// lossUnless returns a loss unless the values are the same.
func lossUnless(same bool) *loss {
	if same {
		return nil
	}
	return &loss{why: "it would not come back equal"}
}

// compareOwn compares values of a type that encodes itself: by its method Equal or Cmp, or else by their encodings.
func (f *lossCheck) compareOwn(a, b reflect.Value) *loss {
	if a.Kind() == reflect.Pointer && (a.IsNil() || b.IsNil()) {
		return lossUnless(a.IsNil() && b.IsNil())
	}
	if a.Kind() != reflect.Pointer {
		a, b = addressed(a), addressed(b)
	}
	for _, method := range [...]reflect.Value{a.MethodByName("Equal"), a.MethodByName("Cmp")} {
		if !method.IsValid() || method.Type().NumIn() != 1 || method.Type().NumOut() != 1 {
			continue
		}
		arg := b
		if in := method.Type().In(0); in == b.Type().Elem() {
			arg = b.Elem()
		} else if in != b.Type() {
			continue
		}
		switch out := method.Call([]reflect.Value{arg})[0]; out.Kind() {
		case reflect.Bool: // of Equal
			return lossUnless(out.Bool())
		case reflect.Int: // of Cmp
			return lossUnless(out.Int() == 0)
		default:
		}
	}
	one, err := f.marshal(a.Interface())
	two, err2 := f.marshal(b.Interface())
	if err != nil || err2 != nil || !bytes.Equal(one, two) {
		return lossUnless(false)
	}
	return f.compareBeside(a.Elem(), b.Elem())
}

// compareBeside compares the other fields of a struct that embeds a type with its own encoding, such as time.Time. The
// struct inherits that type's methods, and they encode the embedded field only.
func (f *lossCheck) compareBeside(a, b reflect.Value) *loss {
	t, inherits := a.Type(), false
	if t.Kind() != reflect.Struct {
		return nil
	}
	for field := range t.Fields() {
		inherits = inherits || field.Anonymous && f.marshals(field.Type)
	}
	for i := range t.NumField() {
		field := t.Field(i)
		if !inherits || field.Anonymous && f.marshals(field.Type) || !f.stores(field) {
			continue
		}
		if l := f.compare(a.Field(i), b.Field(i)); l != nil {
			return &loss{path: "." + field.Name, why: "the type encodes itself by the methods of an embedded field, and they leave this out; name that field"}
		}
	}
	return nil
}

// addressed returns a pointer to a copy of a value.
func addressed(v reflect.Value) reflect.Value {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	return p
}

func (f *lossCheck) compareHeld(a, b reflect.Value) *loss {
	if a.IsNil() || b.IsNil() {
		return lossUnless(a.IsNil() && b.IsNil())
	}
	a, b = a.Elem(), b.Elem()
	if a.Type() != b.Type() {
		return &loss{why: fmt.Sprintf("an interface holds %v and would come back with %v; store that, or a type without interfaces", a.Type(), b.Type())}
	}
	return f.compare(a, b)
}

func (f *lossCheck) compareElements(a, b reflect.Value) *loss {
	if a.Len() != b.Len() {
		return lossUnless(false)
	}
	for i := range a.Len() {
		if l := f.compare(a.Index(i), b.Index(i)); l != nil {
			return l.at(fmt.Sprintf("[%d]", i))
		}
	}
	return nil
}

func (f *lossCheck) compareMaps(a, b reflect.Value) *loss {
	for it := a.MapRange(); it.Next(); {
		other := b.MapIndex(it.Key())
		switch {
		case other.IsValid():
			if l := f.compare(it.Value(), other); l != nil {
				return l.at("[...]")
			}
		case it.Key().Kind() == reflect.String && !utf8.ValidString(it.Key().String()):
			return &loss{path: "[...]", why: "a key that is not UTF-8"}
		default:
			return &loss{path: "[...]", why: "its key would not come back equal"}
		}
	}
	return lossUnless(a.Len() == b.Len())
}

func (f *lossCheck) compareFields(a, b reflect.Value) *loss {
	t := a.Type()
	if !f.storesAny(t) && !a.IsZero() {
		return &loss{why: fmt.Sprintf("%v has no exported field, so nothing of it is stored", t)}
	}
	for i := range t.NumField() {
		if field := t.Field(i); f.stores(field) {
			if l := f.compare(a.Field(i), b.Field(i)); l != nil {
				return l.at("." + field.Name)
			}
		}
	}
	return nil
}
