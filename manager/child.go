package manager

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/internal/mark"
)

// childMark begins the names of values that belong to child sessions, which a key of the session itself cannot.
const childMark = mark.Child

// Child returns the dependent session of that name: a separate set of values under this session's
// lock, token and lifetime. Its first value creates it. It is opened, committed and ended together
// with its parent, since both are one record in Redis. Methods that concern the whole session, such
// as Rotate, BindUser, SetDeadline and Discard, do the same on a child as on its parent. On a
// child, Destroy and Clear only remove the child's values, and ClearAll also those of its children.
// Children may have children.
//
// Child returns an error if the name is empty or contains control characters. No round trip.
func (s *Session) Child(name string) (*Session, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) {
		return nil, fmt.Errorf("child session: the name %q is empty or has control characters", name)
	}
	return &Session{request: s.request, as: s.as, branch: s.branch + childMark + name + childMark}, nil
}

// Children returns the names of the children that have a value, or a descendant with one, sorted.
func (s *Session) Children() []string {
	s.enter()
	defer s.mu.Unlock()
	var out []string
	for _, name := range s.names(s.branch) {
		if rest, ok := strings.CutPrefix(name[len(s.branch):], childMark); ok {
			child, _, _ := strings.Cut(rest, childMark)
			out = append(out, child)
		}
	}
	slices.Sort(out) // the names were sorted with their marks
	return slices.Compact(out)
}

// name returns what a value of this session is called in the record, and false for a key that would be a child's.
func (s *Session) name(key string) (name string, ok bool) {
	return s.branch + key, !strings.HasPrefix(key, childMark)
}

// ours returns the key of a value as this session calls it, and false if the value is another one's: the parent's or a
// child's.
func (s *Session) ours(name string) (key string, ok bool) {
	key, ok = strings.CutPrefix(name, s.branch)
	return key, ok && !strings.HasPrefix(key, childMark)
}
