package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
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
	if r := phone.Post("/login", url.Values{"user": {"ada"}, "password": {"byron"}}); r.StatusCode != http.StatusUnauthorized || r.SetsCookie() {
		t.Errorf("a wrong password: %d %v", r.StatusCode, r.Header)
	}
	asksForLogin(t, phone.Get("/devices"), "/devices")
	for _, b := range []*try.Browser{phone, laptop} {
		r := b.Post("/login", ada)
		if to := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || to != "/devices" {
			t.Errorf("got %d to %q", r.StatusCode, to)
		}
		if !r.SetsCookie() {
			t.Errorf("no cookie: %v", r.Header)
		}
		if c := r.Cookies()[0]; c.MaxAge != 0 || !c.Expires.IsZero() {
			t.Errorf("without remember, a cookie that outlives the browser: %v", c)
		}
	}
	first := token(t, phone)
	phone.Post("/login", ada) // again
	if token(t, phone) == first {
		t.Error("the token is still that of before the login")
	}
	stolen := phone.Other()
	site, _ := url.Parse(phone.URL)
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(site, []*http.Cookie{{Name: "session", Value: first, Path: "/"}})
	stolen.Client.Jar = jar
	asksForLogin(t, stolen.Get("/devices"), "/devices")

	if r := phone.Get("/devices"); strings.Count(r.Body, "\n") != 2 || strings.Count(r.Body, "(this one)") != 1 {
		t.Errorf("got %s", r.Body)
	}
	second := token(t, phone)
	phone.Want(phone.Post("/devices/logout-others", nil), http.StatusOK, "1 logged out")
	if token(t, phone) == second {
		t.Error("the token is still that of before the others were logged out")
	}
	asksForLogin(t, laptop.Get("/devices"), "/devices")
	if r := phone.Get("/devices"); strings.Count(r.Body, "\n") != 1 {
		t.Errorf("got %s", r.Body)
	}
	out := phone.Post("/account/close", nil)
	phone.Want(out, http.StatusNoContent, "")
	if c := out.Cookies(); len(c) != 1 || c[0].MaxAge >= 0 {
		t.Errorf("the cookie stays: %v", c)
	}
	asksForLogin(t, phone.Get("/devices"), "/devices")
}

// asksForLogin wants a redirect to the login page that knows the way back.
func asksForLogin(t *testing.T, r try.Reply, back string) {
	t.Helper()
	if to := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || to != "/login?next="+url.QueryEscape(back) {
		t.Errorf("%s: got %d to %q", r.Request.URL, r.StatusCode, to)
	}
}

// A visitor is led to the form, back to the page, and not to another site.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, &config)))
	r := b.Get("/account?from=mail")
	asksForLogin(t, r, "/account?from=mail")
	form := b.Get(r.Header.Get("Location"))
	if form.StatusCode != http.StatusOK || !strings.Contains(form.Body, `<form method="post">`) {
		t.Errorf("the form is %d %s", form.StatusCode, form.Body)
	}
	in := b.Post(r.Header.Get("Location"), ada)
	if to := in.Header.Get("Location"); to != "/account?from=mail" {
		t.Errorf("the way back leads to %q", to)
	}
	if r := b.Get("/account?from=mail"); r.StatusCode != http.StatusOK {
		t.Errorf("the page is %d", r.StatusCode)
	}
	for _, evil := range []string{"https://evil.example", "//evil.example", `/\evil.example`} {
		if to := b.Post("/login?next="+url.QueryEscape(evil), ada).Header.Get("Location"); to != "/devices" {
			t.Errorf("%s leads to %q", evil, to)
		}
	}
}

// A name and a password in the URL do not log in.
func TestNoPasswordFromTheURL(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, &config)))
	if r := b.Post("/login?"+ada.Encode(), nil); r.StatusCode != http.StatusUnauthorized || r.SetsCookie() {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
}

// Another user logs in with the same browser: nothing of the first one's session is left, children included.
func TestChangeOfUser(t *testing.T) {
	t.Parallel()
	m := managertest.New(t, &config)
	notes := manager.Key[string]("notes")
	mux := http.NewServeMux()
	mux.Handle("/", routes(m))
	mux.Handle("POST /as/{user}", m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		child, _ := s.Child("draft")
		s.BindUser(r.PathValue("user"))
		notes.Set(s, "secret")
		notes.Set(child, "secret")
	})))
	mux.Handle("GET /notes", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		child, _ := s.Child("draft")
		fmt.Fprint(w, s.User(), " ", notes.Get(s), notes.Get(child))
	})))
	b := try.Serve(t, mux)
	b.Post("/as/byron", nil)
	b.Want(b.Get("/notes"), http.StatusOK, "byron secretsecret")
	b.Post("/login", ada)
	b.Want(b.Get("/notes"), http.StatusOK, "ada")
	if list, err := m.UserSessions(t.Context(), "byron"); err != nil || len(list) != 0 {
		t.Errorf("byron has %v, %v", list, err)
	}
	b.Post("/as/ada", nil)
	b.Post("/login", ada)
	b.Want(b.Get("/notes"), http.StatusOK, "ada secretsecret") // one's own stays
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
		if r := visit(http.MethodPost, "/account/close", nil); r.StatusCode != http.StatusSeeOther {
			t.Errorf("got %d", r.StatusCode)
		}
		visit(http.MethodPost, "/login", ada)
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
		if r := first.Other().Post("/login", ada); r.StatusCode != http.StatusSeeOther {
			t.Fatalf("got %d", r.StatusCode)
		}
	}
	asksForLogin(t, first.Get("/devices"), "/devices")
	list, err := m.UserSessions(t.Context(), "ada")
	if err != nil || len(list) != config.MaxUserSessions {
		t.Errorf("%d sessions, %v", len(list), err)
	}
}
