package replica

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// Request is one operation as a client asks for it.
type Request struct {
	Mode    string
	Kind    history.Kind
	ID      int64 // of the operation, in the history
	Token   string
	Blind   bool   // do not read what is overwritten
	Hold    string // how long the handler takes, as a time.Duration
	Barrier string // see barriers
}

// Response is what a client gets to know.
type Response struct {
	Reply
	Error string // the name of the manager's error, empty if none
	Token string // the new one, if the client was given one
}

// errStatus is an answer that no replica gives.
var errStatus = errors.New("unexpected status")

// Do performs one operation at a replica. An error means that no answer came.
func Do(ctx context.Context, client *http.Client, base string, q Request) (Response, error) {
	args := url.Values{"id": {strconv.FormatInt(q.ID, 10)}}
	for name, text := range map[string]string{"hold": q.Hold, "barrier": q.Barrier} {
		if text != "" {
			args.Set(name, text)
		}
	}
	if q.Blind {
		args.Set("blind", "1")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/"+q.Mode+"/"+q.Kind.String()+"?"+args.Encode(), nil)
	if err != nil {
		return Response{}, err
	}
	if q.Token != "" {
		req.Header.Set(TokenHeader, q.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // what matters is in the header
	out := Response{Error: resp.Header.Get(OutcomeHeader), Token: resp.Header.Get(TokenHeader)}
	if text := resp.Header.Get(ReplyHeader); text != "" {
		if err := json.Unmarshal([]byte(text), &out.Reply); err != nil {
			return out, err
		}
	} else if out.Error == "" {
		return out, errStatus
	}
	return out, nil
}

// Record notes in the history what came of an operation, and returns its outcome. The error is the one of [Do].
func (r *Response) Record(op *history.Op, err error) history.Outcome {
	if r.Saw {
		op.Saw(r.Value)
		if r.Assumed {
			op.Assumed()
		}
	}
	if r.Token != "" {
		op.Issued(r.Token)
		id, _, _ := strings.Cut(r.Token, ".")
		op.Named(id)
	}
	out := r.outcome(err)
	op.End(out)
	return out
}

func (r *Response) outcome(err error) history.Outcome {
	switch {
	case neverArrived(err):
		return history.Refused
	case err != nil:
		return history.Unknown
	}
	switch r.Error {
	case "":
	case "removed", "notfound":
		return history.Absent
	case "conflict", "lost", "timeout", "waiters", "unavailable", "closed":
		return history.Refused
	default:
		return history.Unknown
	}
	switch {
	case r.Superseded:
		return history.Superseded
	case !r.Found && r.Token == "":
		return history.Absent
	}
	return history.OK
}

// neverArrived reports whether a request did not reach its replica, since that was down.
func neverArrived(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
