package store

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestParseValue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Value{
		"1.abcd:0:":                  {Stamp: "1.abcd"},
		"12.abcd:0:a:b":              {Stamp: "12.abcd", Data: "a:b"},
		"1.abcd:1700000000000:\x00:": {Stamp: "1.abcd", Expires: 1700000000000, Data: "\x00:"},
	} {
		if got, err := parseValue(text); err != nil || got != want {
			t.Errorf("parseValue(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":", "::", "1.a", "1.a:", "1.a:0", "1.a:x:", "1.a::", "1:0:", "1.a:99999999999999999999:"} {
		if got, err := parseValue(text); err == nil {
			t.Errorf("parseValue(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, text := range []string{"1.abcd:0:data", "1.abcd:1700000000000:", "::", "1.a:-1:", "\xff.\x00:0:\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseValue(text)
		if err != nil {
			return
		}
		if !strings.HasPrefix(text, v.Stamp+":") || !strings.HasSuffix(text, ":"+v.Data) {
			t.Fatalf("parseValue(%q) = %+v", text, v)
		}
		ends := "0"
		if !v.Expires.IsZero() {
			ends = strconv.FormatInt(int64(v.Expires), 10)
		}
		again, err := parseValue(v.Stamp + ":" + ends + ":" + v.Data)
		if err != nil || again != v {
			t.Fatalf("%q is %+v, and written again %+v, %v", text, v, again, err)
		}
	})
}

// fieldsOf splits a line into what HGETALL would return; a backslash stands for what is no string.
func fieldsOf(text string) []any {
	if text == "" {
		return nil
	}
	var fields []any
	for part := range strings.SplitSeq(text, "|") {
		if part == `\` {
			fields = append(fields, nil)
			continue
		}
		fields = append(fields, part)
	}
	return fields
}

func FuzzParseRecord(f *testing.F) {
	f.Add("1.abcdefghijk", "v|1.abcdefghijk|t||n||x|1700000000000|c|1700000000000|r|1|s|2|e|1.abcd|k|1.abcd|h|hash|i|600000|u|alice|.a|1.abcd:0:1")
	f.Add("7", "h|hash")
	f.Add("1.t", "h|hash|.|1.t:0:the key is empty")
	f.Add("1.t", `h|hash|\|1`)
	f.Add("1.t", "h|hash|odd")
	f.Add("1.t", "h|hash|i|9223372036854775807")
	f.Add("1.t", "h|hash|i|-1")
	f.Fuzz(func(t *testing.T, version, text string) {
		fields := fieldsOf(text)
		r, err := parseRecord("id", version, fields)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) || r != nil {
				t.Fatalf("parseRecord = %+v, %v; want ErrCorrupt and no record", r, err)
			}
			return
		}
		if r.Version != version || r.Counter() == 0 || r.Hash == "" || r.Idle < 0 || r.Size() < len(r.Hash) {
			t.Fatalf("parseRecord = %+v", r)
		}
		for key, v := range r.Values.All() {
			if v.Stamp == "" {
				t.Fatalf("%q has no stamp", key)
			}
		}
		if !strings.Contains(stampOf(r.Version), ".") {
			t.Fatalf("stamp %q of version %q", stampOf(r.Version), r.Version)
		}
		if again, err := parseRecord("id", version, fieldsOf(text)); err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("parsed again: %+v, %v", again, err)
		}
	})
}
