package e2e_test

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the program with the tests, even if these are killed.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
