package manager_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

// codecs are all of them, and one of an application.
var codecs = map[string]manager.Codec{
	"JSON": manager.JSON{}, "Gob": manager.Gob{}, "CBOR": manager.CBOR{}, "own": terse{},
}

// terse is a codec as an application may bring one: numbers take one byte, and nothing tells them from anything else.
type terse struct{}

func (terse) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case int:
		return []byte{byte(v)}, nil
	case string:
		return []byte(v), nil
	}
	return json.Marshal(v)
}

func (terse) Unmarshal(data []byte, v any) error {
	switch v := v.(type) {
	case *int:
		if len(data) != 1 {
			return strconv.ErrSyntax
		}
		*v = int(data[0])
		return nil
	case *string:
		*v = string(data)
		return nil
	}
	return json.Unmarshal(data, v)
}

// text begins with a byte; with JSON, whose texts are UTF-8, with a character.
func text(codec string, i int) string {
	if codec == "JSON" {
		return string([]rune{rune(i), 'x'})
	}
	return string([]byte{byte(i), 'x'})
}

// A value comes back as it was, whatever its first byte looks like to the encryption.
func TestCodecs(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, codec := range codecs {
			for _, keys := range [][]byte{nil, {1}} {
				with := func(c *manager.Config) { c.Codec = codec }
				one, two := on(t, b, with, encrypted(keys...)), on(t, b, with, encrypted(keys...))
				want := newCart()
				raw := manager.Key[[]byte]("raw")
				token := do(one, "", func(s *manager.Session) {
					cartKey.Set(s, want)
					for i := range 256 {
						manager.Key[int](fmt.Sprint("int", i)).Set(s, i)
						manager.Key[string](fmt.Sprint("text", i)).Set(s, text(what, i))
					}
					flash.Set(s, "")
					raw.Set(s, []byte("bytes"))
				})
				do(two, token, func(s *manager.Session) {
					if got := cartKey.Get(s); !got.equal(&want) {
						t.Errorf("%s: %+v, want %+v", what, got, want)
					}
					for i := range 256 {
						if got, ok, err := manager.Key[int](fmt.Sprint("int", i)).Lookup(s); got != i || !ok || err != nil {
							t.Errorf("%s: %d became %d, %v, %v", what, i, got, ok, err)
						}
						text := text(what, i)
						if got, ok, err := manager.Key[string](fmt.Sprint("text", i)).Lookup(s); got != text || !ok || err != nil {
							t.Errorf("%s: %q became %q, %v, %v", what, text, got, ok, err)
						}
					}
					if v, ok, err := flash.Lookup(s); v != "" || !ok || err != nil {
						t.Errorf("%s: an empty text: %q, %v, %v", what, v, ok, err)
					}
					got := raw.Get(s) // a copy: the snapshot is shared
					clear(got)
					if again := raw.Get(s); string(again) != "bytes" {
						t.Errorf("%s: changing a value that was read changed the session's: %q", what, again)
					}
				})
			}
		}
	})
}

// After a change of the codec, values of the old one are ErrDecode until they are set: no 500, and never a value
// that only looks like one. A replica that still has the old codec goes on reading what was not set.
func TestChangeOfCodec(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for _, from := range []string{"JSON", "Gob", "CBOR"} {
			for _, to := range []string{"JSON", "Gob", "CBOR"} {
				if from == to {
					continue
				}
				before := on(t, b, func(c *manager.Config) { c.Codec = codecs[from] })
				after := on(t, b, func(c *manager.Config) { c.Codec = codecs[to] })
				token := do(before, "", func(s *manager.Session) {
					count.Set(s, 1)
					name.Set(s, "1")
					cartKey.Set(s, newCart())
				})
				r, token := visit(after, after.Handler, token, func(s *manager.Session) {
					_, _, errCount := count.Lookup(s)
					_, _, errName := name.Lookup(s)
					c, _, errCart := cartKey.Lookup(s)
					for _, err := range []error{errCount, errName, errCart} {
						if !errors.Is(err, manager.ErrDecode) || to != "JSON" && !strings.Contains(err.Error(), "another codec") {
							t.Errorf("%s read as %s: %v", from, to, err)
						}
					}
					if !reflect.DeepEqual(c, cart{}) {
						t.Errorf("%s read as %s: half a value: %+v", from, to, c)
					}
					count.Set(s, 10)
				})
				if r.StatusCode != http.StatusOK {
					t.Errorf("%s read as %s: %d", from, to, r.StatusCode)
				}
				do(after, token, func(s *manager.Session) {
					if count.Get(s) != 10 || len(s.Keys()) != 3 {
						t.Errorf("%s read as %s, afterwards: %d, keys %q", from, to, count.Get(s), s.Keys())
					}
				})
				do(before, token, func(s *manager.Session) {
					if want, got := newCart(), cartKey.Get(s); name.Get(s) != "1" || !got.equal(&want) {
						t.Errorf("%s after it was read as %s: %q, %+v", from, to, name.Get(s), got)
					}
				})
			}
		}
	})
}

// What cannot be encoded fails the commit, in every codec, and nothing of it panics.
func TestNotEncodable(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		for what, codec := range codecs {
			m := on(t, b, func(c *manager.Config) { c.Codec = codec })
			for _, v := range []any{func() {}, make(chan int)} {
				var sticky error
				r, _ := visit(m, m.Handler, "", func(s *manager.Session) {
					count.Set(s, 1)
					manager.Key[any]("bad").Set(s, v)
					sticky = s.Err()
				})
				if r.StatusCode != http.StatusInternalServerError || len(r.Header["Set-Cookie"]) != 0 || !errors.Is(sticky, manager.ErrEncode) {
					t.Errorf("%s, %T: %d, %v", what, v, r.StatusCode, sticky)
				}
			}
		}
		if keys := keysOf(t, b.Client(t), b.Prefix); len(keys) != 0 {
			t.Errorf("half-written: %q", keys)
		}
	})
}

// JSON's short cuts take and give what encoding/json does.
func FuzzJSONLikeEncodingJSON(f *testing.F) {
	for _, seed := range []string{"0", "-0", "+1", "007", "1e3", "1.0", "true", "TRUE", "false", " 1", "1 ", "null", "9223372036854775807", "9223372036854775808", "-9223372036854775808", `"1"`, "0x1", "1_000", ""} {
		f.Add([]byte(seed), int64(len(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte, n int64) {
		same(t, data, new(int), new(int))
		same(t, data, new(int64), new(int64))
		same(t, data, new(bool), new(bool))
		for _, v := range []any{n, int(n), n%2 == 0} {
			got, err := manager.JSON{}.Marshal(v)
			want, err2 := json.Marshal(v)
			if string(got) != string(want) || err != nil || err2 != nil {
				t.Fatalf("%v: %s, want %s", v, got, want)
			}
		}
	})
}

func same(t *testing.T, data []byte, got, want any) {
	t.Helper()
	err, err2 := manager.JSON{}.Unmarshal(data, got), json.Unmarshal(data, want)
	if (err == nil) != (err2 == nil) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %v, %v; want %v, %v", data, got, err, want, err2)
	}
}

// Redis may hold anything. Decoding it may fail and may not panic, nor change the bytes.
func FuzzUnmarshal(f *testing.F) {
	value := newCart()
	for _, codec := range []manager.Codec{manager.JSON{}, manager.Gob{}, manager.CBOR{}} {
		for _, v := range []any{1, "text", true, value, []string{"a"}, map[string]any{"x": 1.5}} {
			data, err := codec.Marshal(v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte{})
	f.Add([]byte{1})
	f.Add([]byte{2})
	f.Add([]byte{2, 0x9f, 0xff})
	f.Add([]byte{2, 0xfb, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		for _, codec := range []manager.Codec{manager.JSON{}, manager.Gob{}, manager.CBOR{}} {
			for _, v := range []any{new(int), new(int64), new(bool), new(string), new(cart), new([]string), new([]byte), new(time.Time), new(any), new(map[string]any)} {
				_ = codec.Unmarshal(data, v)
			}
		}
		if string(data) != before {
			t.Fatal("the bytes were changed")
		}
	})
}
