package gorilla

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/manager"
)

// opened is the manager's session of one request. Like gorilla's registry it is for one goroutine at a time.
type opened struct {
	m       *manager.Manager
	ctx     context.Context //nolint:containedctx // of the request; the manager finds its session in it
	request *http.Request   // to open it again after a commit; nil under a handler that the manager wraps
	ended   bool            // it was committed

	read map[*sessions.Session]stored // what each was filled with, or has saved
}

// stored is what the manager's session holds under a name: a gob of the values.
type stored struct {
	data    string
	present bool
}

// key is where the values of a name are.
func key(name string) manager.Key[[]byte] { return manager.Key[[]byte]("gorilla/" + name) }

// find reads what is stored under a name.
func find(hs *manager.Session, name string) (stored, error) {
	data, present, err := key(name).Lookup(hs)
	return stored{string(data), present}, err
}

// values decodes a gob.
func (v stored) values() (map[any]any, error) {
	values := map[any]any{}
	if !v.present {
		return values, nil
	}
	if err := gob.NewDecoder(bytes.NewReader([]byte(v.data))).Decode(&values); err != nil {
		return nil, fmt.Errorf("%w: %w", manager.ErrDecode, err)
	}
	return values, nil
}

// fill puts what is stored into a session.
func (o *opened) fill(s *sessions.Session) error {
	hs, err := o.current()
	if err != nil {
		return err
	}
	there, err := find(hs, s.Name())
	o.read[s] = there
	if err != nil {
		return err
	}
	if !hs.IsNew() {
		s.ID = hs.ID()
	}
	values, err := there.values()
	if err != nil {
		return err
	}
	s.Values, s.IsNew = values, !there.present
	return nil
}

// current returns the manager's session. Outside of the middleware it opens the session again if it was committed.
func (o *opened) current() (*manager.Session, error) {
	if o.ended && o.request != nil {
		ctx, err := o.m.LoadRequest(o.request.WithContext(o.ctx), manager.Optimistic)
		if err != nil {
			return nil, err
		}
		o.ctx, o.ended = ctx, false
	}
	return o.m.Session(o.ctx), nil
}

// save writes the values of a session, unless another request has changed them since they were read.
func (o *opened) save(w http.ResponseWriter, s *sessions.Session) error {
	before, known := o.read[s]
	if !known {
		return errForeign
	}
	if err := refuse(o.m, s.Options); err != nil {
		return err
	}
	hs, err := o.current()
	if err != nil {
		return err
	}
	if now, _ := find(hs, s.Name()); now != before {
		return fmt.Errorf("%w: its values were changed since they were read", manager.ErrConflict)
	}
	after, err := o.change(hs, s, before)
	if err != nil {
		return err
	}
	if o.request == nil {
		err = hs.Err() // the rest is up to the middleware
	} else {
		o.ended = true
		err = o.m.CommitResponse(o.ctx, w)
	}
	if err != nil {
		return err
	}
	o.read[s] = after
	if after.present {
		s.ID = hs.ID()
	}
	return nil
}

// longest is more than any MaxAge means, in seconds, and less than a time.Duration holds.
const longest = 100 * 365 * 24 * 60 * 60

// change puts the values of a session into the manager's, if there is anything to change.
func (o *opened) change(hs *manager.Session, s *sessions.Session, before stored) (after stored, err error) {
	k, age := key(s.Name()), s.Options.MaxAge
	if age < 0 {
		end(hs, k)
		return stored{}, nil
	}
	own := age == ownAge(o.m)
	ends := age > 0 && !own // by itself
	// A gob of the same map may have other bytes, so the values are compared. If they have a maximum age, it starts again.
	same, err := before.values()
	if err == nil && (!ends || !before.present) && len(s.Values) == len(same) && reflect.DeepEqual(same, s.Values) {
		return before, nil
	}
	if hs.Superseded() {
		return before, fmt.Errorf("%w: its token was replaced, as at a login in a parallel tab", manager.ErrConflict)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(s.Values); err != nil {
		return before, fmt.Errorf("%w: %w", manager.ErrEncode, err)
	}
	hs.Remember(age > 0)
	if ends {
		life := time.Duration(min(int64(age), longest)) * time.Second
		k.SetFor(hs, buf.Bytes(), life)
		if at := hs.Deadline(); !at.IsZero() && time.Until(at) < life {
			hs.SetDeadline(time.Now().Add(life)) // the session must not cut the name's age short
		}
	} else {
		k.Set(hs, buf.Bytes())
	}
	return stored{buf.String(), true}, nil
}

// end deletes a name, which is how applications of gorilla log users out: with the last name the session ends, and with
// any other one at least the login does.
func end(hs *manager.Session, k manager.Key[[]byte]) {
	k.Delete(hs)
	switch {
	case len(hs.Keys()) == 0:
		hs.Destroy()
	case hs.User() != "":
		hs.BindUser("")
		hs.Rotate()
	}
}
