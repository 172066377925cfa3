package promsession_test

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end a program when the test's process dies without cleaning up.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
