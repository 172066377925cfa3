package backend

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps the terminal's interrupt from the server: it goes to the whole
// foreground group, and would end the server before the results are checked. The
// server dies with the thread that started it, so that none outlives a benchmark
// that was killed.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
