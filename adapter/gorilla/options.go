package gorilla

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/sessions"

	"github.com/holdfast-go/holdfast/manager"
)

// ownOptions are the Options of an unchanged Store: the attributes of the manager's cookie, and how long it lives.
func ownOptions(m *manager.Manager) sessions.Options {
	c, _ := cookieOf(m.Propagator())
	return sessions.Options{
		Path: cmp.Or(c.Path, "/"), Domain: c.Domain, MaxAge: ownAge(m),
		Secure: !c.Insecure, HttpOnly: !c.Readable, Partitioned: c.Partitioned, SameSite: sameSite(c),
	}
}

// ownAge is the MaxAge that leaves all times to the manager, in seconds.
func ownAge(m *manager.Manager) int {
	const forever = 400 * 24 * time.Hour // the most that browsers keep a cookie
	if life := m.Lifetime(); life > 0 && life < forever {
		return int(life / time.Second)
	}
	return int(forever / time.Second)
}

// cookieOf finds the cookie that carries the token, if one does.
func cookieOf(p manager.Propagator) (manager.Cookie, bool) {
	switch p := p.(type) {
	case manager.Cookie:
		return p, true
	case *manager.Cookie:
		if p != nil {
			return *p, true
		}
	case manager.Chain:
		for _, inner := range p {
			if c, ok := cookieOf(inner); ok {
				return c, true
			}
		}
	}
	return manager.Cookie{}, false
}

func sameSite(c manager.Cookie) http.SameSite { return cmp.Or(c.SameSite, http.SameSiteLaxMode) }

// refuse returns an error for Options that ask for what the manager's cookie does not give. A zero value asks for
// nothing, so it is not refused although the cookie is stricter.
func refuse(m *manager.Manager, o *sessions.Options) error {
	c, ok := cookieOf(m.Propagator())
	path := cmp.Or(c.Path, "/")
	switch {
	case !ok: // a header carries the token: no cookie is set
	case o.Path != "" && o.Path != path:
		return fmt.Errorf("Options.Path is %q, but the manager's cookie has %q: set Path of the manager.Cookie in Config.Propagator", o.Path, path)
	case o.Domain != "" && o.Domain != c.Domain:
		return fmt.Errorf("Options.Domain is %q, but the manager's cookie has %q: set Domain of the manager.Cookie in Config.Propagator", o.Domain, c.Domain)
	case o.Secure && c.Insecure:
		return errors.New("Options.Secure is set, but the manager's cookie travels over plain HTTP: leave out Config.Insecure, and Insecure of the manager.Cookie")
	case o.HttpOnly && c.Readable:
		return errors.New("Options.HttpOnly is set, but scripts may read the manager's cookie: leave out Readable of the manager.Cookie")
	case o.Partitioned && !c.Partitioned:
		return errors.New("Options.Partitioned is set, but the manager's cookie is not partitioned: set Partitioned of the manager.Cookie in Config.Propagator")
	case o.SameSite > http.SameSiteDefaultMode && o.SameSite != sameSite(c):
		return fmt.Errorf("Options.SameSite is %v, but the manager's cookie has %v: set SameSite of the manager.Cookie in Config.Propagator", o.SameSite, sameSite(c))
	}
	return nil
}
