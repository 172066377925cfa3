package manager_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/manager"
)

// The documentation shows each example alone, so each has its own set-up, although that repeats lines of the others.

// Programs that call an API keep the token themselves. The response has it when it changes.
func ExampleHeader() {
	visits := manager.Key[int]("visits")

	rdb, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), &manager.Config{Propagator: manager.Header{}})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	api := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Session(r.Context())
		visits.Set(s, visits.Get(s)+1)
		fmt.Fprintf(w, "visit %d", visits.Get(s))
	}))

	first := exchangeWith(api, nil)
	token := first.Header.Get("X-Session-Token")
	fmt.Println(textOf(first), token != "")

	second := exchangeWith(api, http.Header{"X-Session-Token": {token}})
	fmt.Println(textOf(second), second.Header.Get("X-Session-Token") != "")
	// Output:
	// visit 1 true
	// visit 2 false
}

// Browsers and programs may use the same server: each is answered the way it came, and who sent nothing by the first.
func ExampleChain() {
	visits := manager.Key[int]("visits")

	rdb, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), &manager.Config{
		Propagator: manager.Chain{manager.Cookie{}, manager.Header{Name: "Authorization"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	app := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessions.Session(r.Context())
		visits.Set(s, visits.Get(s)+1)
		fmt.Fprintf(w, "visit %d", visits.Get(s))
	}))

	browser := exchangeWith(app, nil)
	cookie := browser.Cookies()[0]
	fmt.Println(textOf(browser), cookie.Name)

	program := exchangeWith(app, http.Header{"Authorization": {"Bearer " + cookie.Value}})
	fmt.Println(textOf(program))
	// Output:
	// visit 1 __Host-session
	// visit 2
}

// A protocol that is not HTTP, or has the token in its messages, does what Handler does for HTTP.
func ExampleManager_Load() {
	score := manager.Key[int]("score")

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

	// play handles one message, and returns the token for the next one.
	play := func(token string, points int) (string, error) {
		ctx, err := sessions.Load(context.Background(), token)
		if err != nil {
			return "", err
		}
		defer sessions.Discard(ctx) // releases the lock if an error comes before the commit
		s := sessions.Session(ctx)
		score.Set(s, score.Get(s)+points)
		fmt.Println("score", score.Get(s))
		token, _, err = sessions.Commit(ctx)
		return token, err
	}

	token, err := play("", 3)
	if err != nil {
		log.Fatal(err)
	}
	if _, err = play(token, 4); err != nil {
		log.Fatal(err)
	}
	// Output:
	// score 3
	// score 7
}

// A small value that is not worth a session, and private, is kept in a separate cookie.
func ExampleSealed() {
	type Filter struct {
		Language string
		PerPage  int
	}
	filter := manager.Sealed[Filter]("filter")

	key := make([]byte, 32) // an application loads it, so that it is the same on every replica
	_, _ = rand.Read(key)
	rdb, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer rdb.Close()
	sessions, err := manager.New(rdb.Client(), &manager.Config{EncryptionKeys: [][]byte{key}, Insecure: true})
	if err != nil {
		log.Fatal(err)
	}
	defer sessions.Close(context.Background())

	mux := http.NewServeMux() // needs no middleware
	mux.HandleFunc("GET /choose", func(w http.ResponseWriter, _ *http.Request) {
		if err := filter.Set(sessions, w, Filter{"en", 50}, 30*24*time.Hour); err != nil {
			http.Error(w, "too much", http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		f, ok := filter.Get(sessions, r)
		fmt.Fprintf(w, "%+v %v", f, ok)
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	browser := newExampleBrowser()
	fmt.Println(browser.visit(server.URL + "/list"))
	browser.visit(server.URL + "/choose")
	fmt.Println(browser.visit(server.URL + "/list"))
	// Output:
	// {Language: PerPage:0} false
	// {Language:en PerPage:50} true
}

// exchangeWith sends a handler one request with a header.
func exchangeWith(h http.Handler, header http.Header) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if header != nil {
		r.Header = header
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result()
}

// textOf reads a response to its end.
func textOf(resp *http.Response) string {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(body)
}
