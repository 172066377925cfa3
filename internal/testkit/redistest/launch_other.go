//go:build !linux

package redistest

import "os/exec"

// dieWithParent has nothing to offer here: a test process that is killed leaves its servers running.
func dieWithParent(*exec.Cmd) {}
