package wiretap

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	maxLine  = 64 // bytes kept of a line; longer ones are errors and inline commands, of which the start is enough
	maxName  = 64 // bytes kept of a bulk string; command names are shorter
	maxDepth = 64 // nesting of replies; Redis' own limit for the Lua to RESP conversion is of this order
)

// value is what the scanner tells about a complete value.
type value struct {
	kind byte   // its first byte; 0 for an inline command
	name string // the first bulk string in it, or the first word of an inline command
	keys string // the third bulk string in it: of EVAL and EVALSHA, how many keys the script has
}

// scanner finds where the values of a RESP stream end, whatever the pieces it is fed. It keeps no data but the start
// of a line or of a name. After bytes that are not RESP it reports nothing more.
type scanner struct {
	line   []byte  // the line begun, without what is beyond maxLine
	inBulk bool    // inside the bytes of a bulk string
	bulk   int     // bytes left of it, including its CRLF
	open   []frame // the aggregates begun, outermost first
	top    value   // of the value begun
	bulks  int     // complete bulk strings in it
	broken bool
}

// frame is an aggregate of which elements are missing.
type frame struct {
	left      int
	attribute bool // RESP3 attributes precede a value and are none
}

// feed scans b and calls done for each value that ends in it.
func (s *scanner) feed(b []byte, done func(value)) {
	for len(b) > 0 && !s.broken {
		if s.inBulk {
			b = s.skipBulk(b, done)
			continue
		}
		end := bytes.IndexByte(b, '\n')
		part := b
		if end >= 0 {
			part = b[:end]
		}
		s.line = append(s.line, part[:min(len(part), maxLine-len(s.line))]...)
		if end < 0 {
			return
		}
		b = b[end+1:]
		line := strings.TrimSuffix(string(s.line), "\r")
		s.line = s.line[:0]
		s.header(line, done)
	}
}

// idle reports whether the last value fed is complete.
func (s *scanner) idle() bool { return !s.inBulk && len(s.line) == 0 && len(s.open) == 0 }

// header interprets the line with which a value begins, and often ends.
func (s *scanner) header(line string, done func(value)) {
	if line == "" {
		s.broken = len(s.open) > 0 // between inline commands, Redis ignores empty lines
		return
	}
	kind := line[0]
	if len(s.open) == 0 {
		s.top, s.bulks = value{kind: kind}, 0
	}
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		s.completed(done)
	case '$', '=', '!':
		n, ok := length(line)
		switch {
		case !ok:
			s.broken = true
		case n < 0:
			s.completed(done)
		default:
			s.inBulk, s.bulk = true, n+len("\r\n")
		}
	case '*', '~', '>', '%', '|':
		s.aggregate(kind, line, done)
	default:
		if len(s.open) > 0 {
			s.broken = true
			return
		}
		word, _, _ := strings.Cut(line, " ")
		done(value{name: strings.ToUpper(word)})
	}
}

func (s *scanner) aggregate(kind byte, line string, done func(value)) {
	n, ok := length(line)
	if !ok || len(s.open) == maxDepth {
		s.broken = true
		return
	}
	if kind == '%' || kind == '|' {
		n *= 2 // keys and values
	}
	switch {
	case n > 0:
		s.open = append(s.open, frame{left: n, attribute: kind == '|'})
	case kind != '|':
		s.completed(done)
	}
}

// skipBulk passes over the bytes of a bulk string and returns what follows.
func (s *scanner) skipBulk(b []byte, done func(value)) []byte {
	n := min(s.bulk, len(b))
	text := b[:max(0, min(n, s.bulk-len("\r\n")))]
	switch s.bulks {
	case 0:
		s.top.name += string(text[:min(len(text), maxName-len(s.top.name))])
	case 2:
		s.top.keys += string(text[:min(len(text), maxName-len(s.top.keys))])
	}
	s.bulk -= n
	if s.bulk == 0 {
		s.inBulk = false
		s.bulks++
		s.completed(done)
	}
	return b[n:]
}

// completed notes the end of one value and of all aggregates that end with it.
func (s *scanner) completed(done func(value)) {
	for len(s.open) > 0 {
		last := &s.open[len(s.open)-1]
		last.left--
		if last.left > 0 {
			return
		}
		attribute := last.attribute
		s.open = s.open[:len(s.open)-1]
		if attribute {
			return // the value that it describes is still to come
		}
	}
	done(value{kind: s.top.kind, name: strings.ToUpper(s.top.name), keys: s.top.keys})
}

// length parses the number in a header; -1 is RESP2's null.
func length(line string) (n int, ok bool) {
	const limit = 1 << 30 // twice what Redis accepts for one string
	n, err := strconv.Atoi(line[1:])
	return n, err == nil && n >= -1 && n <= limit
}
