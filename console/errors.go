package console

import (
	"errors"
	"net/http"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/store"
)

// fail answers a request that met an error of Redis. The log has the error; the page says what it means.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		c.refuse(w, r, http.StatusNotFound, "No such session",
			"There is no session with this ID under the prefix "+c.sessions.Prefix+". It has ended, or the console looks at another Redis or prefix than the application.")
		return
	case errors.Is(err, store.ErrCorrupt):
		c.refuse(w, r, http.StatusUnprocessableEntity, "Not a session",
			"Holdfast did not write what is stored under the key of this session. Look at it with redis-cli.")
		return
	case errors.Is(err, store.ErrNewerFormat):
		c.refuse(w, r, http.StatusUnprocessableEntity, "Session of a newer release",
			"A newer release of Holdfast wrote this session, in a format that this console cannot read. Use the console of that release. The session is unchanged.")
		return
	}
	c.cfg.Logger.ErrorContext(r.Context(), "holdfast console: Redis did not answer a request", "error", err)
	c.refuse(w, r, http.StatusServiceUnavailable, "Redis did not answer", meaning(err))
}

// meaning explains an error of Redis without repeating it.
func meaning(err error) string {
	switch {
	case redis.IsPermissionError(err):
		return "The Redis user of this console lacks a permission. The log says which; docs/operator.md lists what it needs."
	case redis.HasErrorPrefix(err, "NOAUTH"), redis.HasErrorPrefix(err, "WRONGPASS"):
		return "Redis refuses the user or password that this console connects with."
	case redis.HasErrorPrefix(err, "READONLY"):
		return "This Redis is a replica and takes no writes. Connect the console to the primary, or through Sentinel."
	case redis.HasErrorPrefix(err, "MOVED"), redis.HasErrorPrefix(err, "CLUSTERDOWN"):
		return "This Redis is a node of a cluster that cannot serve the request. Connect the console with a cluster client, and look at CLUSTER INFO."
	case errors.Is(err, store.ErrUnavailable):
		return "Redis cannot be reached or refuses to answer. Nothing was changed. The log has the cause."
	}
	return "Redis did not answer in time. The log has the cause. Reload the page to try again."
}

// checkID explains what is wrong with a session ID, without repeating it: it may be a token.
func checkID(id string) (problem string, ok bool) {
	if keys.IsID(id) {
		return "", true
	}
	if len(id) > keys.IDLen && id[keys.IDLen] == '.' && keys.IsID(id[:keys.IDLen]) {
		return "This is a token, not a session ID. Give the 22 characters before its dot, and revoke that session if others may have seen the token.", false
	}
	return "This is not a session ID. An ID has 22 letters, digits, - or _.", false
}
