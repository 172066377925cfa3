//go:build unix && !linux

package backend

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's interrupt from the server: it goes to the whole
// foreground group, and would end the server before the results are checked.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
