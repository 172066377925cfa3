package replica

import (
	"net/http"
	"sync"
)

// barriers hold handlers back until the test lets them go on, so that a fault strikes at a known place. A request with
// ?barrier=NAME stops at the end of its handler, before the commit.
type barriers struct {
	mu sync.Mutex // guards m
	m  map[string]*barrier
}

type barrier struct {
	entered, opened         chan struct{}
	enteredOnce, openedOnce sync.Once
}

func (bs *barriers) get(name string) *barrier {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.m == nil {
		bs.m = make(map[string]*barrier)
	}
	if bs.m[name] == nil {
		bs.m[name] = &barrier{entered: make(chan struct{}), opened: make(chan struct{})}
	}
	return bs.m[name]
}

// pass waits at a barrier, even if the client leaves.
func (bs *barriers) pass(name string) {
	b := bs.get(name)
	b.enteredOnce.Do(func() { close(b.entered) })
	<-b.opened
}

// awaitEntered answers once a handler waits at the barrier.
func (bs *barriers) awaitEntered(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-bs.get(r.PathValue("name")).entered:
	case <-r.Context().Done():
	}
}

func (bs *barriers) open(_ http.ResponseWriter, r *http.Request) {
	b := bs.get(r.PathValue("name"))
	b.openedOnce.Do(func() { close(b.opened) })
}
