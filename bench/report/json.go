package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// JSON writes the results for programs.
func JSON(w io.Writer, run *Run) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(run); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
