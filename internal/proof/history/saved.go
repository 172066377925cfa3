package history

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// savedConfig is the first line of a saved history, and savedOp is each further one. A saved history is all that Check looks
// at. What is checked again is therefore the history; the run that made it depends on the scheduler, and may not come again.
type savedConfig struct {
	MaxStaleness time.Duration `json:"max_staleness_ns"`
	MaxCopyAge   time.Duration `json:"max_copy_age_ns"`
}

type savedOp struct {
	ID      int64       `json:"id,omitempty"` // 0 of a loss
	Client  string      `json:"client"`
	Kind    string      `json:"kind"`
	Session string      `json:"session,omitempty"`
	Token   string      `json:"token,omitempty"`
	Issued  string      `json:"issued,omitempty"`
	Outcome string      `json:"outcome,omitempty"`
	Saw     *Value      `json:"saw,omitempty"`
	Call    savedMoment `json:"call"`
	SawAt   savedMoment `json:"saw_at,omitzero"`
	Ret     savedMoment `json:"ret,omitzero"`
}

type savedMoment struct {
	Seq int64         `json:"seq"`
	At  time.Duration `json:"ns"`
}

func save(m moment) savedMoment { return savedMoment{m.seq, m.at} }
func load(m savedMoment) moment { return moment{m.Seq, m.At} }

// Save writes the operations on some sessions, or on all if none is named, so that Load and Check come to the same verdict.
// Marks of Recovers are not saved.
func (h *History) Save(w io.Writer, sessions ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	enc := json.NewEncoder(w)
	if err := enc.Encode(savedConfig{h.cfg.MaxStaleness, h.cfg.MaxCopyAge}); err != nil {
		return fmt.Errorf("save a history: %w", err)
	}
	for _, o := range slices.Concat(h.losses, h.ops) {
		if o.id != 0 && len(sessions) > 0 && !slices.Contains(sessions, o.session) {
			continue
		}
		s := savedOp{
			ID: o.id, Client: o.client, Kind: o.kind.String(), Session: o.session, Token: o.token, Issued: o.issued,
			Outcome: o.outcome.String(), Call: save(o.call), SawAt: save(o.sawAt), Ret: save(o.ret),
		}
		if o.saw {
			s.Saw = &o.seen
		}
		if err := enc.Encode(s); err != nil {
			return fmt.Errorf("save a history: %w", err)
		}
	}
	return nil
}

// Load reads what Save has written.
func Load(r io.Reader) (*History, error) {
	dec := json.NewDecoder(r)
	var cfg savedConfig
	if err := dec.Decode(&cfg); err != nil {
		return nil, fmt.Errorf("load a history: %w", err)
	}
	h := New(Config{MaxStaleness: cfg.MaxStaleness, MaxCopyAge: cfg.MaxCopyAge})
	for {
		var s savedOp
		if err := dec.Decode(&s); err == io.EOF {
			return h, nil
		} else if err != nil {
			return nil, fmt.Errorf("load a history: %w", err)
		}
		o := &Op{
			h: h, id: s.ID, client: s.Client, session: s.Session, token: s.Token, issued: s.Issued,
			kind: Kind(slices.Index(kindNames[:], s.Kind)), outcome: Outcome(max(0, slices.Index(outcomeNames[:], s.Outcome))),
			call: load(s.Call), sawAt: load(s.SawAt), ret: load(s.Ret),
		}
		if s.Saw != nil {
			o.saw, o.seen = true, *s.Saw
		}
		switch o.kind {
		case -1, 0:
			return nil, fmt.Errorf("load a history: there is no kind %q", s.Kind)
		case loss, wipe:
			h.losses = append(h.losses, o)
		default:
			h.ops = append(h.ops, o)
		}
	}
}

// Keep saves the sessions that a report accuses, or could not decide upon, in a new file in the folder for temporary files,
// and returns a text for the developer who investigates it.
func (h *History) Keep(r *Report) string {
	var sessions []string
	for _, v := range r.Violations {
		sessions = append(sessions, v.Session)
	}
	sessions = append(sessions, r.undecided...)
	if len(sessions) == 0 {
		return "no session is accused"
	}
	f, err := os.CreateTemp("", "holdfast-history-*.jsonl")
	if err != nil {
		return err.Error()
	}
	err = h.Save(f, sessions...)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err.Error()
	}
	return "check this history again: go test ./internal/proof/history -run TestSavedHistories -history.file " + f.Name()
}
