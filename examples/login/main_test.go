package main

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

var ada = url.Values{"user": {"ada"}, "password": {"lovelace"}}

func token(t *testing.T, b *try.Browser) string {
	t.Helper()
	site, err := url.Parse(b.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Client.Jar.Cookies(site) {
		if c.Name == "session" {
			return c.Value
		}
	}
	return ""
}

func TestLoginAndDevices(t *testing.T) {
	t.Parallel()
	phone := try.Serve(t, routes(managertest.New(t, &config)))
	laptop := phone.Other()
	phone.Want(phone.Post("/login", url.Values{"user": {"ada"}, "password": {"byron"}}), http.StatusUnauthorized, "wrong name or password")
	phone.Want(phone.Get("/devices"), http.StatusUnauthorized, "log in first")
	for _, b := range []*try.Browser{phone, laptop} {
		r := b.Post("/login", ada)
		b.Want(r, http.StatusNoContent, "")
		if !r.SetsCookie() {
			t.Errorf("no cookie: %v", r.Header)
		}
		if c := r.Cookies()[0]; c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("without remember, a cookie that outlives the browser: %v", c)
		}
	}
	first := token(t, phone)
	phone.Want(phone.Post("/login", ada), http.StatusNoContent, "") // again
	if token(t, phone) == first {
		t.Error("the token is still that of before the login")
	}
	stolen := phone.Other()
	site, _ := url.Parse(phone.URL)
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(site, []*http.Cookie{{Name: "session", Value: first, Path: "/"}})
	stolen.Client.Jar = jar
	stolen.Want(stolen.Get("/devices"), http.StatusUnauthorized, "log in first")

	if r := phone.Get("/devices"); strings.Count(r.Body, "\n") != 2 || strings.Count(r.Body, "(this one)") != 1 {
		t.Errorf("got %s", r.Body)
	}
	phone.Want(phone.Post("/devices/logout-others", nil), http.StatusOK, "1 logged out")
	laptop.Want(laptop.Get("/devices"), http.StatusUnauthorized, "log in first")
	if r := phone.Get("/devices"); strings.Count(r.Body, "\n") != 1 {
		t.Errorf("got %s", r.Body)
	}
	out := phone.Post("/account/close", nil)
	phone.Want(out, http.StatusNoContent, "")
	if c := out.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
	phone.Want(phone.Get("/devices"), http.StatusUnauthorized, "log in first")
}

// The clock of the bubble makes five minutes pass in no time.
func TestSensitiveStepsNeedAFreshLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := managertest.New(t, &config)
		app := routes(m)
		visit := try.InMemory(t, app)
		visit(http.MethodPost, "/login", ada)
		time.Sleep(6 * time.Minute)
		if r := visit(http.MethodPost, "/account/close", nil); r.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %d", r.StatusCode)
		}
		if r := visit(http.MethodPost, "/login", ada); r.StatusCode != http.StatusNoContent {
			t.Errorf("got %d", r.StatusCode)
		}
		if r := visit(http.MethodPost, "/account/close", nil); r.StatusCode != http.StatusNoContent {
			t.Errorf("got %d", r.StatusCode)
		}
	})
}

// An eleventh device ends the session of the first.
func TestTooManyDevices(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &config)
	first := try.Serve(t, routes(m))
	first.Post("/login", ada)
	for range config.MaxUserSessions {
		if r := first.Other().Post("/login", ada); r.StatusCode != http.StatusNoContent {
			t.Fatalf("got %d", r.StatusCode)
		}
	}
	first.Want(first.Get("/devices"), http.StatusUnauthorized, "log in first")
	list, err := m.UserSessions(t.Context(), "ada")
	if err != nil || len(list) != config.MaxUserSessions {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}
