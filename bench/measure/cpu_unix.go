//go:build unix

package measure

import (
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the CPU time of this process, user and system.
func processCPU() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
