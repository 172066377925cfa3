package main

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"

	"github.com/holdfast-go/holdfast/manager"
)

// sessions opens and commits a session for the handlers behind it. Fiber keeps the response in memory until all of them
// have returned, so a commit after them is still before the first byte. A handler that returns an error saves nothing.
//
// Manager.Handler does not fit here: the adaptor of Fiber for net/http middleware runs the handlers of Fiber after the
// middleware has returned, that is after the commit. Nor does Fiber know when a client has left, so its request waits in
// line for Config.LockWait.
func sessions(m *manager.Manager, mode manager.Mode) fiber.Handler {
	return func(c fiber.Ctx) error {
		r, err := adaptor.ConvertRequest(c, true)
		if err != nil {
			return fiber.ErrBadRequest
		}
		outer := c.Context() // not that of fasthttp, which ends with the server
		ctx, err := m.LoadRequest(r.WithContext(outer), mode)
		if err != nil {
			return refuse(err)
		}
		defer m.Discard(ctx) // after an error or a panic
		c.SetContext(ctx)
		defer c.SetContext(outer)
		if err := c.Next(); err != nil {
			return err
		}
		told := header{}
		if err = m.CommitResponse(ctx, told); err != nil {
			c.Response().Reset() // nothing of what the handlers have said
			err = refuse(err)
		}
		for name, values := range told {
			for _, v := range values {
				c.Response().Header.Add(name, v)
			}
		}
		return err
	}
}

// header takes what the Manager has to tell the client.
type header http.Header

func (h header) Header() http.Header     { return http.Header(h) }
func (header) Write([]byte) (int, error) { return 0, http.ErrNotSupported }
func (header) WriteHeader(int)           {}

var _ http.ResponseWriter = header(nil)

// refuse says of an outcome what manager.DefaultErrorHandler says.
func refuse(err error) error {
	switch {
	case errors.Is(err, manager.ErrOutcomeUnknown):
		return fiber.NewError(fiber.StatusServiceUnavailable, "It is not known whether your change was saved.")
	case errors.Is(err, manager.ErrRemoved):
		return fiber.NewError(fiber.StatusConflict, "Your session has ended. Your change was not saved.")
	case errors.Is(err, manager.ErrConflict), errors.Is(err, manager.ErrLockLost):
		return fiber.NewError(fiber.StatusConflict, "This session changed in the meantime. Please try again.")
	case errors.Is(err, manager.ErrLockTimeout), errors.Is(err, manager.ErrTooManyWaiters),
		errors.Is(err, manager.ErrUnavailable), errors.Is(err, manager.ErrClosed):
		return fiber.NewError(fiber.StatusServiceUnavailable, "Please try again in a moment.")
	}
	return fiber.ErrInternalServerError
}
