package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/holdfast-go/holdfast/examples/internal/try"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager/managertest"
)

func TestMain(m *testing.M) { redistest.Main(m) }

func say(t *testing.T, conn *websocket.Conn, text string) (string, error) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
		return "", err
	}
	_, got, err := conn.Read(t.Context())
	return string(got), err
}

func TestChat(t *testing.T) {
	t.Parallel()
	b := try.Serve(t, routes(managertest.New(t, nil)))
	url := "ws" + strings.TrimPrefix(b.URL, "http") + "/chat"
	_, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: b.Client})
	if err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("a stranger: %v", err)
	}
	b.Post("/name/ada", nil)
	conn, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPClient: b.Client})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("got %d", resp.StatusCode)
	}
	if got, err := say(t, conn, "hello"); err != nil || got != "ada: hello" {
		t.Errorf("got %q, %v", got, err)
	}
	// The lock is free while the connection is open, and the connection sees what other requests have written.
	b.Want(b.Post("/name/bob", nil), http.StatusOK, "")
	if got, err := say(t, conn, "hello"); err != nil || got != "bob: hello" {
		t.Errorf("got %q, %v", got, err)
	}
	b.Post("/logout", nil)
	_, err = say(t, conn, "still there?")
	if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("after the logout: %v", err)
	}
}
