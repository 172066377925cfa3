package replica

import (
	"net/http"
	"sync"
)

// gates hold handlers back until the test lets them go on, so that a fault strikes at a known place. A request with
// ?gate=NAME stops at the end of its handler, before the commit.
type gates struct {
	mu sync.Mutex // guards m
	m  map[string]*gate
}

type gate struct {
	entered, opened         chan struct{}
	enteredOnce, openedOnce sync.Once
}

func (gs *gates) get(name string) *gate {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if gs.m == nil {
		gs.m = make(map[string]*gate)
	}
	if gs.m[name] == nil {
		gs.m[name] = &gate{entered: make(chan struct{}), opened: make(chan struct{})}
	}
	return gs.m[name]
}

// pass waits at a gate. That the client has left does not open it.
func (gs *gates) pass(name string) {
	g := gs.get(name)
	g.enteredOnce.Do(func() { close(g.entered) })
	<-g.opened
}

// awaitEntered answers once a handler stands at the gate.
func (gs *gates) awaitEntered(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-gs.get(r.PathValue("name")).entered:
	case <-r.Context().Done():
	}
}

func (gs *gates) open(_ http.ResponseWriter, r *http.Request) {
	g := gs.get(r.PathValue("name"))
	g.openedOnce.Do(func() { close(g.opened) })
}
