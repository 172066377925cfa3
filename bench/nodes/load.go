package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// The load is pages of ten requests, one of which writes. Pages of different sessions are under way at once.
const (
	perPage  = 10
	sessions = 16
	payload  = 400
)

// between is the time from a response to the next request of the same client, which crosses a network. By then the lock of
// a request that wrote nothing has been released, behind its response.
const between = 5 * time.Millisecond

// balancers say how the requests of a page reach the nodes.
var balancers = []struct {
	name string
	page func(ctx context.Context, s *deployment, session, page int, rnd *rand.Rand) error
}{
	// All requests of a session come to one node, one after another.
	{"sticky", func(ctx context.Context, s *deployment, session, page int, _ *rand.Rand) error {
		for i := range perPage {
			if err := s.request(ctx, session, session, i == page%perPage); err != nil {
				return err
			}
		}
		return nil
	}},
	// The requests of a page come to one node at once, those of the session's next page to any other.
	{"bursty", func(ctx context.Context, s *deployment, session, page int, rnd *rand.Rand) error {
		var errs [perPage]error
		var group sync.WaitGroup
		node := rnd.IntN(len(s.nodes))
		for i := range errs {
			group.Go(func() { errs[i] = s.request(ctx, node, session, i == page%perPage) })
		}
		group.Wait()
		return errors.Join(errs[:]...)
	}},
	// Each request of a session comes to the node after the one before.
	{"round robin", func(ctx context.Context, s *deployment, session, page int, _ *rand.Rand) error {
		for i := range perPage {
			if err := s.request(ctx, session+page*perPage+i, session, i == page%perPage); err != nil {
				return err
			}
		}
		return nil
	}},
}

// maxFailed is how many percent of the requests may fail without voiding the count. A machine that stalls for seconds loses
// locks.
const maxFailed = 1

// deployment is some nodes and the sessions that are loaded.
type deployment struct {
	nodes  []subject.Node
	tokens []string
	pages  int // of each session so far

	mu     sync.Mutex // guards what follows
	failed []error
}

func holdfast() subject.Subject {
	all := subject.All()
	return all[slices.IndexFunc(all, func(s subject.Subject) bool { return s.Name == "holdfast" })]
}

// open starts the nodes. close ends those that were started, even after an error.
func (s *deployment) open(ctx context.Context, link subject.Link, mode subject.Mode, nodes int) error {
	for range nodes {
		n, err := holdfast().Open(ctx, link, mode)
		if err != nil {
			return fmt.Errorf("open node: %w", err)
		}
		s.nodes = append(s.nodes, n)
	}
	return nil
}

// create begins new sessions in place of those there were.
func (s *deployment) create(ctx context.Context) error {
	s.tokens, s.pages, s.failed = nil, 0, nil
	for i := range sessions {
		token, err := s.nodes[i%len(s.nodes)].Create(ctx, strings.Repeat("x", payload))
		if err != nil {
			return fmt.Errorf("create session: %w", err)
		}
		s.tokens = append(s.tokens, token)
	}
	return nil
}

func (s *deployment) request(ctx context.Context, node, session int, writes bool) error {
	if err := s.ask(ctx, node, session, writes); err != nil {
		s.mu.Lock()
		s.failed = append(s.failed, err)
		s.mu.Unlock()
	}
	return sleep(ctx, between)
}

func (s *deployment) ask(ctx context.Context, node, session int, writes bool) (err error) {
	n, token := s.nodes[node%len(s.nodes)], s.tokens[session]
	if writes {
		_, err = n.Increment(ctx, token, 0)
	} else {
		_, err = n.Read(ctx, token)
	}
	return err
}

// load requests that many pages of every session, all sessions at once.
func (s *deployment) load(ctx context.Context, balancer, pages int) error {
	var errs [sessions]error
	var group sync.WaitGroup
	for i := range errs {
		rnd := rand.New(rand.NewPCG(uint64(i), uint64(s.pages))) //nolint:gosec // reproducible, no secret
		group.Go(func() {
			for p := range pages {
				if errs[i] = balancers[balancer].page(ctx, s, i, s.pages+p, rnd); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	s.pages += pages
	return errors.Join(errs[:]...)
}

// checkFailed reports the requests that failed since create. It returns an error if they are more than maxFailed allows.
func (s *deployment) checkFailed(requests int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed) == 0 {
		return nil
	}
	err := fmt.Errorf("%d of %d requests failed, the first: %w", len(s.failed), requests, s.failed[0])
	if len(s.failed)*100 > requests*maxFailed {
		return err
	}
	fmt.Fprintln(os.Stderr, err)
	return nil
}

func (s *deployment) close() error {
	errs := make([]error, len(s.nodes))
	var group sync.WaitGroup
	for i, n := range s.nodes {
		group.Go(func() { errs[i] = n.Close() })
	}
	group.Wait()
	return errors.Join(errs...)
}
