package trial_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

// store keeps sessions in a map, and can be told to do so badly. Its nodes
// share it.
type store struct {
	name     string
	mode     subject.Mode
	loseEach int           // every so many acknowledged increments are not stored
	failEach int           // every so many increments fail, undone
	hangs    bool          // increments wait for ever
	revive   bool          // a write brings an ended session back
	takes    time.Duration // a request more than its hold
	openErr  error

	mu       sync.Mutex // guards what follows
	sessions map[string]*session
	made     int
	writes   int
}

type session struct {
	turn    sync.Mutex // held by the request it serves
	counter int64      // guarded by the store
}

func newStore(name string) *store {
	return &store{name: name, mode: subject.Exclusive, sessions: make(map[string]*session)}
}

func (s *store) subject() subject.Subject {
	return subject.Subject{
		Name:  s.name,
		Modes: []subject.Mode{s.mode},
		Open: func(context.Context, subject.Link, subject.Mode) (subject.Node, error) {
			return s, s.openErr
		},
	}
}

func (s *store) Create(context.Context, string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	token := strconv.Itoa(s.made)
	s.sessions[token] = new(session)
	return token, nil
}

func (s *store) Increment(ctx context.Context, token string, hold time.Duration) (int64, error) {
	if s.hangs {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	found, err := s.find(token)
	if err != nil {
		return 0, err
	}
	if s.mode.Locks() && !s.revive {
		found.turn.Lock()
		defer found.turn.Unlock()
		if _, err := s.find(token); err != nil {
			return 0, err // ended while it waited
		}
	}
	time.Sleep(hold + s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	switch {
	case s.failEach > 0 && s.writes%s.failEach == 0:
		return 0, errPlanted
	case s.loseEach > 0 && s.writes%s.loseEach == 0:
		return found.counter, nil
	}
	found.counter++
	if s.revive {
		s.sessions[token] = found
	}
	return found.counter, nil
}

func (s *store) Read(_ context.Context, token string) (int64, error) {
	found, err := s.find(token)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return found.counter, nil
}

func (s *store) Remove(ctx context.Context, token string) error {
	found, err := s.find(token)
	if err != nil {
		return err
	}
	if !s.revive {
		found.turn.Lock()
		defer found.turn.Unlock()
	}
	return s.Revoke(ctx, token)
}

func (s *store) Revoke(_ context.Context, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, token)
	return nil
}

// Handler is the little there is to a request of the http scenario.
func (s *store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var count int64
		var err error
		if r.Method == http.MethodPut {
			var token string
			token, err = s.Create(r.Context(), "")
			http.SetCookie(w, &http.Cookie{Name: "session", Value: token})
		} else if cookie, missing := r.Cookie("session"); missing != nil {
			err = missing
		} else if r.Method == http.MethodPost {
			count, err = s.Increment(r.Context(), cookie.Value, 0)
		} else {
			count, err = s.Read(r.Context(), cookie.Value)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(strconv.AppendInt(nil, count, 10))
	})
}

func (s *store) Close() error { return nil }

func (s *store) find(token string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions[token]
	if !ok {
		return nil, subject.ErrAbsent
	}
	return found, nil
}
