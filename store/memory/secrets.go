package memory

import (
	"time"

	"github.com/holdfast-go/holdfast/store"
)

// secrets are those that a session's secret has replaced, newest first.
type secrets []secret

type secret struct {
	hash string
	rule store.Rule
	ends time.Time
}

// maxSecrets bounds the list: further back than that no client is that still comes.
const maxSecrets = 8

// rule says what a secret is still good for, Stays if it is none of these or one of Rotate whose time is over. It
// reports whether the time of another one is over.
func (list secrets) rule(hash string, now time.Time) (rule store.Rule, ended bool) {
	for _, old := range list {
		ended := over(old.ends, now)
		if old.hash == hash && !(ended && old.rule == store.Privilege) {
			return old.rule, ended
		}
	}
	return store.Stays, false
}

// confirm ends what periodic rotation has replaced at that time, since the client has shown the new secret. Showing it
// again prolongs nothing.
func (list secrets) confirm(end time.Time) {
	for i, old := range list {
		if old.rule == store.Periodic && end.Before(old.ends) {
			list[i].ends = end
		}
	}
}

// add takes in one more. What Rotate replaces opens nothing, and no more does what that had replaced.
func (list *secrets) add(s secret, now time.Time) {
	next := secrets{s}
	for _, old := range *list {
		// One of periodic rotation is remembered, so that its reuse is noticed.
		forget := old.rule == store.Privilege || s.rule == store.Privilege
		if forget && over(old.ends, now) || old.hash == s.hash || len(next) == maxSecrets {
			continue
		}
		if s.rule == store.Privilege {
			old.rule = store.Privilege
			if s.ends.Before(old.ends) {
				old.ends = s.ends
			}
		}
		next = append(next, old)
	}
	*list = next
}
