package main

import (
	"errors"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/holdfast-go/holdfast/manager"
)

// cookieName is "__Host-session" where there is HTTPS, and Secure is true there.
const cookieName, secure = "session", false

// sessions opens and commits a session for the handlers behind it. Fiber keeps the response in memory until all of them
// have returned, so a commit after them is still before the first byte. A handler that returns an error saves nothing.
//
// Manager.Handler does not fit here: the adaptor of Fiber for net/http middleware runs the handlers of Fiber after the
// middleware has returned, that is after the commit. Nor does Fiber know when a client has left, so its request waits in
// line for Config.LockWait.
func sessions(m *manager.Manager) fiber.Handler {
	return func(c fiber.Ctx) error {
		// Fiber's strings are parts of buffers that it uses again, and the token lives longer than the request.
		shown := strings.Clone(c.Cookies(cookieName))
		outer := c.Context()
		ctx, err := m.Load(outer, shown)
		if err != nil {
			return refuse(err)
		}
		defer m.Discard(ctx) // after an error or a panic
		c.SetContext(ctx)
		defer c.SetContext(outer)
		if err := c.Next(); err != nil {
			return err
		}
		destroyed := m.Session(ctx).Status() == manager.Destroyed
		token, expires, err := m.Commit(ctx)
		if err != nil {
			c.Response().Reset() // nothing of what the handlers have said
			return refuse(err)
		}
		// A token that was not touched is not sent again, and one that opened nothing is not taken away: a parallel tab may
		// have received a newer one.
		switch {
		case token != "" && token != shown:
			tell(c, token, expires)
		case destroyed && shown != "":
			tell(c, "", time.Unix(1, 0))
		}
		return nil
	}
}

// tell sets the cookie.
func tell(c fiber.Ctx, token string, expires time.Time) {
	c.Cookie(&fiber.Cookie{
		Name: cookieName, Value: token, Path: "/", Expires: expires,
		Secure: secure, HTTPOnly: true, SameSite: fiber.CookieSameSiteLaxMode,
	})
	c.Vary("Cookie")
	c.Append(fiber.HeaderCacheControl, `no-cache="Set-Cookie"`)
}

// refuse says of an outcome what manager.DefaultErrorHandler says.
func refuse(err error) error {
	switch {
	case errors.Is(err, manager.ErrOutcomeUnknown):
		return fiber.NewError(fiber.StatusServiceUnavailable, "It is not known whether your change was saved.")
	case errors.Is(err, manager.ErrConflict), errors.Is(err, manager.ErrRemoved), errors.Is(err, manager.ErrLockLost):
		return fiber.NewError(fiber.StatusConflict, "Another request was faster. Please try again.")
	case errors.Is(err, manager.ErrLockTimeout), errors.Is(err, manager.ErrTooManyWaiters),
		errors.Is(err, manager.ErrUnavailable), errors.Is(err, manager.ErrClosed):
		return fiber.NewError(fiber.StatusServiceUnavailable, "Please try again in a moment.")
	}
	return fiber.ErrInternalServerError
}
