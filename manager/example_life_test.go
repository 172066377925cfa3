package manager_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// The documentation shows each example alone, so each has its own set-up, although that repeats lines of the others.

// A login rotates the token and says whose session it is. What the visitor had before, such as a cart, is kept; a token
// that an attacker planted in the browser before the login opens nothing after it.
func ExampleSession_Rotate() {
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
	cart := manager.Key[[]string]("cart")

	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", func(_ http.ResponseWriter, r *http.Request) {
		cart.Set(m.Session(r.Context()), []string{"pen"})
	})
	mux.HandleFunc("POST /login", func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context()) // once the password was found to be right
		s.Rotate()
		s.BindUser("ada")
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		fmt.Fprintf(w, "user %q, cart %v", s.User(), cart.Get(s))
	})
	app := m.Handler(mux)

	visit := func(method, path string, token *http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		if token != nil {
			r.AddCookie(token)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		if method == http.MethodGet {
			fmt.Println(w.Body)
		}
		return w.Result()
	}
	before := visit("POST", "/cart", nil).Cookies()[0]
	after := visit("POST", "/login", before).Cookies()[0]
	visit("GET", "/", after)
	visit("GET", "/", before)
	// Output:
	// user "ada", cart [pen]
	// user "", cart []
}

// A logout destroys the session: the browser drops the cookie, and a copy of it opens nothing.
func ExampleSession_Destroy() {
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
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) {
		m.Session(r.Context()).Destroy()
	})
	mux.Handle("GET /account", m.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, m.Session(r.Context()).User())
	})))
	app := m.Handler(mux)

	visit := func(method, path string, token *http.Cookie) *http.Response {
		r := httptest.NewRequest(method, path, nil)
		if token != nil {
			r.AddCookie(token)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
		return w.Result()
	}
	token := visit("POST", "/login", nil).Cookies()[0]
	visit("GET", "/account", token)
	cleared := visit("POST", "/logout", token).Cookies()[0]
	fmt.Println("the cookie is cleared:", cleared.Value == "" && cleared.MaxAge < 0)
	visit("GET", "/account", token) // a copy of it
	// Output:
	// /login 200
	// /account 200
	// /logout 200
	// the cookie is cleared: true
	// /account 401
}

// "Remember me" decides whether the browser keeps the cookie when it ends. How long the session lives on the server is
// a matter of its own.
func ExampleSession_Remember() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	m, err := manager.New(srv.Client(), &manager.Config{
		Lifetime: 30 * 24 * time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(context.Background())

	login := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		s.Rotate()
		s.BindUser("ada")
		remember := r.FormValue("remember") == "on"
		s.Remember(remember)
		if !remember {
			s.SetDeadline(time.Now().Add(12 * time.Hour)) // browsers that restore their tabs keep the cookie anyway
		}
	}))

	for _, form := range []string{"", "?remember=on"} {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login"+form, nil))
		token := w.Result().Cookies()[0]
		kept := time.Duration(token.MaxAge) * time.Second // 0: until the browser ends
		fmt.Printf("%q: the cookie is kept for %v\n", form, kept.Round(time.Hour))
	}
	// Output:
	// "": the cookie is kept for 0s
	// "?remember=on": the cookie is kept for 720h0m0s
}

// A session can be given a deadline of its own, for example that of a guest's pass. Without one it ends Config.Lifetime
// after it began, or was rotated.
func ExampleSession_SetDeadline() {
	srv, err := embedded.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	m, err := manager.New(srv.Client(), &manager.Config{
		Lifetime: 8 * time.Hour, Insecure: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close(context.Background())
	pass := manager.Key[string]("pass")

	app := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := m.Session(r.Context())
		if r.URL.Path == "/guest" {
			pass.Set(s, "museum")
			s.SetDeadline(time.Now().Add(time.Hour))
		}
		fmt.Fprintf(w, "ends in %v", time.Until(s.Deadline()).Round(time.Minute))
	}))

	visit := func(path string, token *http.Cookie) *http.Response {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		if token != nil {
			r.AddCookie(token)
		}
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		fmt.Println(path, w.Body)
		return w.Result()
	}
	visit("/", nil)
	token := visit("/guest", nil).Cookies()[0]
	visit("/", token)
	// Output:
	// / ends in 8h0m0s
	// /guest ends in 1h0m0s
	// / ends in 1h0m0s
}
