package manager_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// The documentation shows each example alone, so each has its own set-up, although that repeats lines of the others.

// Declare each key once, as a package variable: name and type of the value then stand in one place.
func ExampleKey() {
	type Cart struct {
		Items map[string]int
	}
	cart := manager.Key[Cart]("cart")

	rdb, err := embedded.Start() // an application connects to its Redis instead
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), &manager.Config{Insecure: true})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	mux := http.NewServeMux()
	mux.HandleFunc("GET /add/{sku}", func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Session(r.Context())
		c := cart.Get(s) // the zero value at the first visit
		if c.Items == nil {
			c.Items = make(map[string]int)
		}
		c.Items[r.PathValue("sku")]++
		cart.Set(s, c)
		fmt.Fprint(w, c.Items)
	})
	server := httptest.NewServer(sessions.Handler(mux))
	defer server.Close()

	browser := newExampleBrowser()
	for _, sku := range []string{"tea", "mug", "tea"} {
		fmt.Println(browser.visit(server.URL + "/add/" + sku))
	}
	// Output:
	// map[tea:1]
	// map[mug:1 tea:1]
	// map[mug:1 tea:2]
}

// A flash message survives the redirect after a form and is shown once, however many tabs ask for it.
func ExampleKey_Pop() {
	flash := manager.Key[string]("flash")

	rdb, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), &manager.Config{Insecure: true})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	mux := http.NewServeMux()
	mux.HandleFunc("GET /save", func(w http.ResponseWriter, r *http.Request) {
		flash.Set(sessions.Session(r.Context()), "Your changes were saved.")
		http.Redirect(w, r, "/profile", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /profile", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Profile. %s", flash.Pop(sessions.Session(r.Context())))
	})
	server := httptest.NewServer(sessions.Handler(mux))
	defer server.Close()

	browser := newExampleBrowser()
	fmt.Println(browser.visit(server.URL + "/save"))
	fmt.Println(browser.visit(server.URL + "/profile"))
	// Output:
	// Profile. Your changes were saved.
	// Profile.
}

// A value may live shorter than its session: here, a code that was sent to the user.
func ExampleKey_SetFor() {
	code := manager.Key[string]("code")

	rdb, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	ctx := context.Background()
	id, err := sessions.Create(ctx, func(s *manager.Session) error {
		code.SetFor(s, "271828", 10*time.Minute)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = sessions.View(ctx, id, func(s *manager.Session) error {
		left, expires := code.ExpiresIn(s)
		fmt.Println(code.Get(s), expires, left.Round(time.Minute))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 271828 true 10m0s
}

// exampleBrowser is a browser with one cookie jar.
type exampleBrowser struct{ client *http.Client }

func newExampleBrowser() exampleBrowser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	return exampleBrowser{&http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// visit returns the text of a page.
func (b exampleBrowser) visit(url string) string {
	resp, err := b.client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	return textOf(resp)
}
