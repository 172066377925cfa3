package redistest

import (
	"os/exec"
	"runtime"
	"sync"
)

// launches hands commands to the one goroutine that starts them.
//
// A server must die with the test's process, even when that is killed. Linux offers this as the parent-death signal,
// but means by "parent" the thread that started the child, and Go ends a thread when a goroutine that is locked to it
// returns. So one goroutine starts them all, locked to a thread that lives as long as the process.
var launches = sync.OnceValue(func() chan<- launch {
	ch := make(chan launch)
	go launcher(ch)
	return ch
})

type launch struct {
	cmd    *exec.Cmd
	result chan<- error
}

func launcher(ch <-chan launch) {
	runtime.LockOSThread() // and never unlocked
	for l := range ch {
		l.result <- l.cmd.Start()
	}
}

// Launch is cmd.Start for a process that is to die with this one, where the system offers that.
func Launch(cmd *exec.Cmd) error {
	dieWithParent(cmd)
	result := make(chan error)
	launches() <- launch{cmd: cmd, result: result}
	return <-result
}
