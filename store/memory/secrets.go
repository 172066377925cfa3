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

// rule says what a secret is still good for, Stays if nothing.
func (list secrets) rule(hash string, now time.Time) store.Rule {
	for _, old := range list {
		if old.hash == hash && now.Before(old.ends) {
			return old.rule
		}
	}
	return store.Stays
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
		if over(old.ends, now) || old.hash == s.hash || len(next) == maxSecrets {
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
