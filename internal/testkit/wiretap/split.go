package wiretap

import (
	"bytes"
	"iter"
	"slices"
)

// splitter cuts a stream into whole values. It must begin between two values.
type splitter struct {
	begun bool
	scan  scanner
	part  []byte // of the value begun
}

// split yields the values that end in b. What is left waits for the next call.
func (s *splitter) split(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s.begun = true
		for _, c := range b {
			s.part = append(s.part, c)
			ended := false
			s.scan.feed([]byte{c}, func(value) { ended = true })
			if !ended {
				continue
			}
			whole := s.part
			s.part = nil
			if !yield(whole) {
				return
			}
		}
	}
}

// messagePayload returns the payload of a published message: a push or an array of three strings, "message", channel,
// payload.
func messagePayload(whole []byte) (payload string, ok bool) {
	lines := bytes.Split(whole, []byte("\r\n"))
	const size = 8 // the header, three lengths, three strings, and what follows the last line break
	if len(lines) != size || !slices.Contains([]byte(">*"), lines[0][0]) || string(lines[2]) != "message" {
		return "", false
	}
	return string(lines[6]), true
}
