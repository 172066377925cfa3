package drive

import "sync/atomic"

// meter tells how much of the work is done, so that events fall at the same point of a run on a slow machine and on a
// fast one.
type meter struct {
	total            int64
	done             atomic.Int64
	third, twoThirds chan struct{} // closed when that much is done
}

func newMeter(total int) *meter {
	return &meter{total: int64(total), third: make(chan struct{}), twoThirds: make(chan struct{})}
}

func (m *meter) step() {
	switch m.done.Add(1) {
	case max(1, m.total/3):
		close(m.third)
	case max(2, m.total*2/3):
		close(m.twoThirds)
	}
}
