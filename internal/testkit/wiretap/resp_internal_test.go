package wiretap

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func scan(pieces ...string) (s scanner, names []string) {
	for _, piece := range pieces {
		s.feed([]byte(piece), func(v value) { names = append(names, strings.TrimLeft(string(v.kind), "\x00")+v.name) })
	}
	return s, names
}

func TestScanner(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, in string
		want     []string
	}{
		{"command", "*2\r\n$3\r\nget\r\n$1\r\nk\r\n", []string{"*GET"}},
		{"pipeline", "*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", []string{"*PING", "*ECHO"}},
		{"empty argument", "*2\r\n$0\r\n\r\n$1\r\nk\r\n", []string{"*"}},
		{"inline command", "\r\nping now\r\nECHO x\n", []string{"PING", "ECHO"}},
		{"simple replies", "+OK\r\n-ERR no\r\n:1\r\n_\r\n,1.5\r\n#t\r\n(123\r\n", []string{"+", "-", ":", "_", ",", "#", "("}},
		{"nulls of RESP2", "$-1\r\n*-1\r\n*0\r\n", []string{"$", "*", "*"}},
		{"nested", "*2\r\n*2\r\n:1\r\n$1\r\na\r\n%1\r\n+k\r\n*0\r\n+OK\r\n", []string{"*A", "+"}},
		{"verbatim and blob error", "=7\r\ntxt:abc\r\n!3\r\nERR\r\n", []string{"=TXT:ABC", "!ERR"}},
		{"push", ">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", []string{">MESSAGE"}},
		{"attribute", "|1\r\n+ttl\r\n:3\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n+OK\r\n", []string{"*", "+"}},
		{"not yet complete", "*2\r\n$3\r\nGET\r\n$10\r\nabc", nil},
		{"bad length", "$x\r\n+OK\r\n", nil},
		{"negative length", "*-2\r\n+OK\r\n", nil},
		{"garbage inside", "*1\r\nhello\r\n+OK\r\n", nil},
		{"too deep", strings.Repeat("*1\r\n", maxDepth+1) + ":1\r\n", nil},
		{"long line", "-" + strings.Repeat("x", 10*maxLine) + "\r\n+OK\r\n", []string{"-", "+"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, got := scan(tc.in); !slices.Equal(got, tc.want) {
				t.Errorf("whole: %q, want %q", got, tc.want)
			}
			if _, got := scan(strings.Split(tc.in, "")...); !slices.Equal(got, tc.want) {
				t.Errorf("byte by byte: %q, want %q", got, tc.want)
			}
		})
	}
}

func TestScannerKeepsLittle(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 1<<20)
	s, _ := scan("+"+huge, huge)
	if len(s.line) > maxLine {
		t.Errorf("kept %d bytes of a line", len(s.line))
	}
	s, names := scan(fmt.Sprintf("*1\r\n$%d\r\n", len(huge)), huge, "\r\n")
	if len(names) != 1 || len(names[0]) > 1+maxName || !s.idle() {
		t.Errorf("kept %d values, idle %v", len(names), s.idle())
	}
}

// Where a stream is cut must not matter, and no bytes may make the scanner panic.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 3)
	f.Add([]byte("%1\r\n+k\r\n|1\r\n+a\r\n:1\r\n*0\r\n"), 7)
	f.Add([]byte(">1\r\n$-1\r\nping\r\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		if cut < 0 || cut > len(data) {
			return
		}
		_, whole := scan(string(data))
		_, parts := scan(string(data[:cut]), string(data[cut:]))
		if !slices.Equal(whole, parts) {
			t.Errorf("whole %q, cut at %d %q", whole, cut, parts)
		}
	})
}
