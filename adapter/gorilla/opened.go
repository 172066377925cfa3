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
	request *http.Request   // to open it anew after a commit; nil under a handler that the manager wraps
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

// current is the manager's session, opened anew if it was committed, in a request that it is not the manager's to end.
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

// save writes the values of a session, unless somebody else has changed them since they were read.
func (o *opened) save(w http.ResponseWriter, s *sessions.Session) error {
	before, known := o.read[s]
	if !known {
		return errForeign
	}
	hs, err := o.current()
	if err != nil {
		return err
	}
	if now, _ := find(hs, s.Name()); now != before {
		return fmt.Errorf("%w: its values were changed since they were read", manager.ErrConflict)
	}
	after, err := change(hs, s, before)
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

// change puts the values of a session into the manager's, if there is anything to change.
func change(hs *manager.Session, s *sessions.Session, before stored) (after stored, err error) {
	k, age := key(s.Name()), s.Options.MaxAge
	if age < 0 {
		k.Delete(hs)
		if len(hs.Keys()) == 0 {
			hs.Destroy()
		}
		return stored{}, nil
	}
	// A gob of the same map may have other bytes, so the values are compared. With an age they begin it anew.
	same, err := before.values()
	if err == nil && (age == 0 || !before.present) && len(s.Values) == len(same) && reflect.DeepEqual(same, s.Values) {
		return before, nil
	}
	if hs.Superseded() {
		return before, fmt.Errorf("%w: its token was replaced, as at a login in a parallel tab", manager.ErrConflict)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(s.Values); err != nil {
		return before, fmt.Errorf("%w: %w", manager.ErrEncode, err)
	}
	if age > 0 {
		k.SetFor(hs, buf.Bytes(), time.Duration(age)*time.Second)
	} else {
		k.Set(hs, buf.Bytes())
	}
	return stored{buf.String(), true}, nil
}
