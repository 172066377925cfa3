package operate

import (
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// PrintRevocation writes the result of revoking sessions.
func PrintRevocation(r *admin.Revocation, w *report.Writer) {
	w.Object(r)
	of := ""
	if r.User != "" {
		of = " of user " + report.Text(r.User)
	}
	w.Line("revoked %s%s", report.Count(len(r.Revoked), "session"), of)
	for _, id := range r.NotFound {
		w.Line("not found: %s", id)
	}
}
