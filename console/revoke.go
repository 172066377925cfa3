package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

// revocation is what is to be revoked: one session, or all of a user.
type revocation struct {
	ID, User string
	Rows     []admin.Row
	Session  *shown
}

// asked reads what a request wants to revoke. The names stand in the URL, also of a POST: a form would change line breaks
// and characters that are not UTF-8.
func (c *console) asked(w http.ResponseWriter, r *http.Request) (revocation, bool) {
	data := revocation{ID: r.URL.Query().Get("id"), User: r.URL.Query().Get("user")}
	switch {
	case (data.ID == "") == (data.User == ""):
		c.refuse(w, r, http.StatusBadRequest, "Nothing to revoke", "Choose one session or one user.")
		return data, false
	case data.ID != "":
		if problem, ok := checkID(data.ID); !ok {
			c.refuse(w, r, http.StatusBadRequest, "Not a session ID", problem)
			return data, false
		}
	}
	return data, true
}

// confirm asks before anything is revoked.
func (c *console) confirm(w http.ResponseWriter, r *http.Request) {
	data, ok := c.asked(w, r)
	if !ok {
		return
	}
	var err error
	if data.ID != "" {
		data.Session, err = c.read(r.Context(), data.ID)
	} else {
		data.Rows, err = c.devicesOf(r.Context(), data.User)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if data.User != "" && len(data.Rows) == 0 {
		c.refuse(w, r, http.StatusNotFound, "Nothing to revoke", "The user "+report.Text(data.User)+" has no sessions.")
		return
	}
	c.draw(w, r, http.StatusOK, "revoke", view{Title: "Revoke", Nav: "sessions", Data: data})
}

// revoke ends the sessions and writes the audit log, whatever the outcome.
func (c *console) revoke(w http.ResponseWriter, r *http.Request, who string) {
	data, ok := c.asked(w, r)
	if !ok {
		return
	}
	ctx := context.WithoutCancel(r.Context()) // what was begun is finished and logged, also when the tab is closed
	var done *admin.Revocation
	var err error
	back := "sessions?"
	if data.ID != "" {
		done, err = c.sessions.Revoke(ctx, []string{data.ID})
	} else {
		done, err = c.sessions.RevokeUser(ctx, data.User)
		back = "user?name=" + url.QueryEscape(data.User) + "&"
	}
	log := c.cfg.Logger.With("who", who, "remote", r.RemoteAddr, "sessions", done.Revoked)
	if data.User != "" {
		log = log.With("user", data.User)
	}
	switch {
	case err != nil:
		log.ErrorContext(ctx, "holdfast console: revoking sessions failed, some may have ended", "asked", data.ID, "error", err)
		c.refuse(w, r, http.StatusServiceUnavailable, "The revocation is incomplete",
			report.Count(len(done.Revoked), "session")+" surely ended, others may have. Revoke again. "+meaning(err))
	case len(done.Revoked) == 0:
		log.InfoContext(ctx, "holdfast console: nothing to revoke", "asked", data.ID)
		c.refuse(w, r, http.StatusNotFound, "Nothing was revoked", "There is no such session any more.")
	default:
		log.InfoContext(ctx, "holdfast console: sessions revoked")
		w.Header().Set("Location", back+"revoked="+strconv.Itoa(len(done.Revoked))) // relative: the mount path is unknown
		w.WriteHeader(http.StatusSeeOther)
	}
}
