package admin

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/internal/mark"
	"github.com/holdfast-go/holdfast/store"
)

// Session is everything that Redis tells of one session.
type Session struct {
	ID       string          `json:"id"`
	User     string          `json:"user,omitempty"`
	Version  string          `json:"version"`
	Created  time.Time       `json:"created"`
	Rotated  time.Time       `json:"rotated"`
	LastSeen *time.Time      `json:"last_seen,omitempty"`
	Idle     float64         `json:"idle_timeout_seconds,omitempty"`
	Deadline *time.Time      `json:"deadline,omitempty"`
	Ends     *time.Time      `json:"ends,omitempty"` // without further use
	Client   json.RawMessage `json:"client,omitempty"`
	Bytes    *int64          `json:"bytes,omitempty"`
	Values   []Value         `json:"values"`
	Copies   []string        `json:"copies"`
	Everyone bool            `json:"copies_everywhere,omitempty"`
	Lock     Lock            `json:"lock"`

	Record *store.Record `json:"-"`
	Memory int64         `json:"-"` // bytes in Redis; negative if unknown
	Now    time.Time     `json:"-"` // by the server's clock, when Redis was asked
}

// Value is one key of a session.
type Value struct {
	Key     string     `json:"key"`
	Bytes   int        `json:"bytes"`
	Expires *time.Time `json:"expires,omitempty"`
	Kind    string     `json:"kind"`            // text, gob, cbor or encrypted
	Text    *string    `json:"text,omitempty"`  // with values: text that is valid UTF-8
	Data    []byte     `json:"data,omitempty"`  // with values: anything else that is not encrypted, as base64
	Note    string     `json:"note,omitempty"`  // with values: why there is neither
	Ended   bool       `json:"ended,omitempty"` // it has expired, and goes with the next commit

	Age uint64 `json:"-"` // commits of the session since the one that wrote it
}

// Path is the key for people: keys of child sessions read as child/key.
func (v *Value) Path() string {
	return strings.Join(strings.FieldsFunc(v.Key, func(r rune) bool { return string(r) == mark.Child }), "/")
}

// Session reads a session, with the content of its values only if values is true. It returns store.ErrNotFound if there
// is none, and store.ErrCorrupt if Holdfast did not write what is there. Two round trips.
func (s *Sessions) Session(ctx context.Context, id string, values bool) (*Session, error) {
	in, err := s.Store.Inspect(ctx, id)
	if err != nil {
		return nil, err
	}
	lock, err := s.Lock(ctx, id)
	if err != nil {
		return nil, err
	}
	now, r := s.Now(), in.Record
	out := &Session{
		ID: id, User: r.User, Version: r.Version, Created: r.Created.Time().UTC(), Rotated: r.Rotated.Time().UTC(),
		LastSeen: moment(r.Seen(now)), Idle: r.Idle.Seconds(), Deadline: moment(r.Deadline.Time()), Ends: ends(r, now),
		Bytes: known(in.Memory), Copies: append([]string{}, in.Copies...), Everyone: in.All,
		Values: []Value{}, Lock: lock, Record: r, Memory: in.Memory, Now: now,
	}
	if json.Valid([]byte(r.Client)) {
		out.Client = json.RawMessage(r.Client)
	}
	for key, v := range r.Values.All() {
		out.Values = append(out.Values, valueOf(key, v, r, values, now))
	}
	return out, nil
}

func valueOf(key string, v store.Value, r *store.Record, show bool, now time.Time) Value {
	kind, data := mark.Of(v.Data)
	out := Value{Key: key, Bytes: len(v.Data), Expires: moment(v.Expires.Time()), Kind: kind}
	out.Ended = !v.Expires.IsZero() && v.Expires.Sub(now) < 0
	if written := v.Counter(); written < r.Counter() {
		out.Age = r.Counter() - written
	}
	switch {
	case !show:
	case kind == "encrypted":
		out.Note = "encrypted; only the application has the key"
	case kind == "text" && utf8.ValidString(data):
		out.Text = &data
	default:
		out.Data = []byte(data)
	}
	return out
}

// Client is what a session's first request told of its client. Each field may be empty.
type Client struct {
	UserAgent string `json:"ua"`
	Address   string `json:"ip"`
}

// ClientOf reads the metadata of a client, as the manager writes it.
func ClientOf(text string) (c Client) {
	_ = json.Unmarshal([]byte(text), &c) // anything else leaves the fields empty
	return c
}
