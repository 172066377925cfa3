package faults_test

import (
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// Without a fault everything is served.
func TestNoFault(t *testing.T) {
	t.Parallel()
	s := open(t, "none", []string{redistest.Start(t).Addr()})
	s.during(1, func(int) {})
	s.finish()
}
