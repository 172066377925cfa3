package report

import (
	"bytes"
	"fmt"
)

// Splice puts results into a document that has a place for them, between two
// comments, and leaves the rest of it as it is. It reports false for a document
// without such a place. Runs on Redis and on the embedded one, over loopback and
// with a longer way, have different places.
func Splice(document, results []byte, run *Run) ([]byte, bool) {
	name := "results"
	if !run.Real {
		name += ", embedded"
	}
	if run.RTTMicro > 0 {
		name += fmt.Sprintf(", +%.0f µs", run.RTTMicro)
	}
	before, rest, begun := bytes.Cut(document, fmt.Appendf(nil, "<!-- %s -->\n", name))
	_, after, ended := bytes.Cut(rest, fmt.Appendf(nil, "<!-- end of %s -->\n", name))
	if !begun || !ended {
		return nil, false
	}
	return fmt.Appendf(nil, "%s<!-- %s -->\n%s<!-- end of %s -->\n%s", before, name, results, name, after), true
}
