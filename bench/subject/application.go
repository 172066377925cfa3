package subject

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// sessionCookie names the cookie where the choice is ours.
const sessionCookie = "session"

// holdParam carries the time a slow handler works between its read and its write.
const holdParam = "hold"

// values is the session of one request, as the application below uses it. The
// library behind it loads and saves.
type values interface {
	count() (n int64, ok bool)
	setCount(n int64)
	setFiller(s string)
	end() error
}

// application is the program under test, for libraries that come as middleware:
// PUT makes a session and takes the filler from its body, POST increments the
// counter, GET reads it, DELETE ends the session. The response is the counter.
func application(open func(*http.Request) values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := open(r)
		if r.Method == http.MethodPut {
			filler, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			v.setCount(0)
			v.setFiller(string(filler))
			writeCount(w, 0)
			return
		}
		n, ok := v.count()
		if !ok {
			http.Error(w, ErrAbsent.Error(), http.StatusNotFound)
			return
		}
		switch r.Method {
		case http.MethodPost:
			work(holdOf(r))
			n++
			v.setCount(n)
		case http.MethodDelete:
			if err := v.end(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		writeCount(w, n)
	})
}

// byHand is the same program over a node without middleware: its handlers take
// the token from the cookie and call the node.
func byHand(n Node) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			createByHand(w, r, n)
			return
		}
		cookie, err := r.Cookie(sessionCookie)
		if err != nil {
			http.Error(w, ErrAbsent.Error(), http.StatusNotFound)
			return
		}
		var count int64
		switch r.Method {
		case http.MethodPost:
			count, err = n.Increment(r.Context(), cookie.Value, holdOf(r))
		case http.MethodDelete:
			err = n.Remove(r.Context(), cookie.Value)
		default:
			count, err = n.Read(r.Context(), cookie.Value)
		}
		switch {
		case errors.Is(err, ErrAbsent):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			writeCount(w, count)
		}
	})
}

func createByHand(w http.ResponseWriter, r *http.Request, n Node) {
	filler, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := n.Create(r.Context(), string(filler))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	writeCount(w, 0)
}

func writeCount(w http.ResponseWriter, n int64) {
	_, _ = w.Write(strconv.AppendInt(nil, n, 10)) //nolint:gosec // a number; a client that went away has no use for an error
}

// holdOf reads the hold of a request; anything unreadable is none.
func holdOf(r *http.Request) time.Duration {
	if r.URL.RawQuery == "" {
		return 0
	}
	hold, err := time.ParseDuration(r.URL.Query().Get(holdParam))
	if err != nil {
		return 0
	}
	return hold
}
