package manager_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// The documentation shows each example alone, so each has its own set-up, although that repeats lines of the others.

// Two replicas have a Manager each, on one Redis. Requests of one session take turns, whichever replica they reach, so
// every one of them counts.
func Example_replicas() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	visits := manager.Key[int]("visits")

	var replicas []http.Handler
	for range 2 {
		m, err := manager.New(srv.NewClient(), &manager.Config{Insecure: true, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer m.Close(context.Background())
		replicas = append(replicas, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := m.Session(r.Context())
			n := visits.Get(s) + 1
			visits.Set(s, n)
			fmt.Fprint(w, n)
		})))
	}

	first := httptest.NewRecorder()
	replicas[0].ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/", nil))
	token := first.Result().Cookies()[0]
	visit := func(replica http.Handler) string {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(token)
		w := httptest.NewRecorder()
		replica.ServeHTTP(w, r)
		return w.Body.String()
	}

	var tabs sync.WaitGroup
	for i := range 10 {
		tabs.Go(func() { visit(replicas[i%2]) })
	}
	tabs.Wait()
	fmt.Println("the next visit is number", visit(replicas[0]))
	// Output:
	// the next visit is number 12
}

// Optimistic requests do not wait. They conflict only over a key that one of them has used and the other has changed;
// the page then answers 409, and its script tries again.
func ExampleManager_Optimistic() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	m, err := manager.New(srv.Client(), &manager.Config{
		Insecure: true, Logger: slog.New(slog.DiscardHandler),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			fmt.Println(r.URL.Path, "conflicts:", errors.Is(err, manager.ErrConflict))
			manager.DefaultErrorHandler(w, r, err)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(context.Background())
	theme, language := manager.Key[string]("theme"), manager.Key[string]("language")

	meanwhile := func() {} // what happens while /theme runs
	mux := http.NewServeMux()
	mux.HandleFunc("/theme", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		if theme.Get(s) == "dark" {
			theme.Set(s, "light")
		} else {
			theme.Set(s, "dark")
		}
		meanwhile()
	})
	mux.HandleFunc("/language", func(_ http.ResponseWriter, r *http.Request) {
		language.Set(m.Session(r.Context()), "de")
	})
	app := m.Optimistic(mux)

	visit := func(path string, tokens ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(http.MethodPost, path, nil)
		for _, c := range tokens {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
		return w.Result()
	}
	token := visit("/theme").Cookies()[0]
	for _, path := range []string{"/language", "/theme"} {
		meanwhile = func() {
			meanwhile = func() {}
			visit(path, token)
		}
		visit("/theme", token)
	}
	// Output:
	// /theme 200
	// /language 200
	// /theme 200
	// /theme 200
	// /theme conflicts: true
	// /theme 409
}

// "Log out everywhere": all sessions that were bound to a user end at once, on every replica. With the ID of the session
// at hand it is "everywhere but here", for instance after a change of the password.
func ExampleManager_RevokeUser() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	m, err := manager.New(srv.Client(), &manager.Config{Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(context.Background())

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.Rotate()
		s.BindUser("ada")
	})
	mux.HandleFunc("POST /logout-elsewhere", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		n, err := m.RevokeUser(r.Context(), s.User(), s.ID())
		if err != nil {
			http.Error(w, "Please try again.", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%d other sessions were ended", n)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "user %q", m.Session(r.Context()).User())
	})
	app := m.Handler(mux)

	visit := func(method, path string, tokens ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for _, c := range tokens {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		if w.Body.Len() > 0 {
			fmt.Println(w.Body)
		}
		return w.Result()
	}
	laptop := visit("POST", "/login").Cookies()[0]
	phone := visit("POST", "/login").Cookies()[0]
	visit("POST", "/login")
	kept := visit("POST", "/logout-elsewhere", laptop).Cookies()[0] // a new token, in case the old one was stolen
	visit("GET", "/", kept)
	visit("GET", "/", laptop)
	visit("GET", "/", phone)
	// Output:
	// 2 other sessions were ended
	// user "ada"
	// user ""
	// user ""
}

// Read-only requests take no lock, so they never wait, and while this replica has evidence of hearing every change they
// are served from its own copy without asking Redis. They cannot change the session.
func ExampleManager_ReadOnly() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	m, err := manager.New(srv.Client(), &manager.Config{Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(context.Background())
	unread := manager.Key[int]("unread")

	meanwhile := func() {} // what another tab does while this one holds the lock
	mux := http.NewServeMux()
	mux.Handle("POST /message", m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		unread.Set(s, unread.Get(s)+1)
		meanwhile()
	})))
	mux.Handle("GET /badge", m.ReadOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, unread.Get(m.Session(r.Context())))
	})))
	mux.Handle("GET /mistake", m.ReadOnly(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		unread.Set(s, 0)
		fmt.Println("refused:", errors.Is(s.Err(), manager.ErrReadOnly))
	})))

	visit := func(method, path string, tokens ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		for _, c := range tokens {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if path == "/badge" {
			fmt.Println("unread:", w.Body)
		}
		return w.Result()
	}
	token := visit("POST", "/message").Cookies()[0]
	meanwhile = func() { visit("GET", "/badge", token) }
	visit("POST", "/message", token)
	visit("GET", "/badge", token)
	visit("GET", "/mistake", token)
	// Output:
	// unread: 1
	// unread: 2
	// refused: true
}
