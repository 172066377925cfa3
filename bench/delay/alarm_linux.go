package delay

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm sleeps by a timerfd: precise to some microseconds, and the goroutine
// waits in the network poller without holding a thread.
type alarm struct {
	fd   int
	file *os.File
}

func newAlarm() (alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return alarm{}, fmt.Errorf("timerfd_create: %w", err)
	}
	return alarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (a alarm) sleep(d time.Duration) error {
	due := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(a.fd, 0, &due, nil); err != nil {
		return fmt.Errorf("timerfd_settime: %w", err)
	}
	var expirations [8]byte
	_, err := a.file.Read(expirations[:])
	return err
}

func (a alarm) close() error { return a.file.Close() }
