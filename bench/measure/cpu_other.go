//go:build !unix

package measure

import "time"

// processCPU is not read on this system; the column stays empty.
func processCPU() time.Duration { return 0 }
