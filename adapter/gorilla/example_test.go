package gorilla_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/holdfast-go/holdfast/adapter/gorilla"
	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// A handler of gorilla/sessions stays as it is. The manager around it adds the lock.
func Example() {
	rdb, err := embedded.Start() // an application has a Redis
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	m, err := manager.New(rdb.Client(), &manager.Config{Insecure: true}) // for http://localhost
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close(context.Background())

	store := gorilla.NewStore(m) // was sessions.NewCookieStore(key)
	visit := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, err := store.Get(r, "visits")
		if err != nil {
			http.Error(w, "no session", http.StatusServiceUnavailable)
			return
		}
		n, _ := session.Values["n"].(int)
		session.Values["n"] = n + 1
		switch err := session.Save(r, w); {
		case errors.Is(err, manager.ErrConflict): // only without the manager around it
			http.Error(w, "please try again", http.StatusConflict)
		case err != nil:
			http.Error(w, "not saved", http.StatusInternalServerError)
		default:
			fmt.Fprintf(w, "visit %d", n+1)
		}
	})
	app := m.Handler(visit)

	first := httptest.NewRecorder()
	app.ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/", nil))
	again := httptest.NewRequest(http.MethodGet, "/", nil)
	again.AddCookie(first.Result().Cookies()[0])
	second := httptest.NewRecorder()
	app.ServeHTTP(second, again)
	fmt.Println(first.Body, second.Body)
	// Output: visit 1 visit 2
}
