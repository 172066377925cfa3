package manager_test

import (
	"net/http"
	"testing"

	"github.com/holdfast-go/holdfast/manager"
)

func TestByMethod(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]manager.Mode{
		"GET": manager.Optimistic, "HEAD": manager.Optimistic, "OPTIONS": manager.Optimistic, "": manager.Optimistic,
		"POST": manager.Exclusive, "PUT": manager.Exclusive, "PATCH": manager.Exclusive, "DELETE": manager.Exclusive,
		"PROPFIND": manager.Exclusive, "get": manager.Exclusive,
	} {
		if got := manager.ByMethod(&http.Request{Method: method}); got != want {
			t.Errorf("%q: %v, want %v", method, got, want)
		}
	}
	_ = manager.Config{Mode: manager.ByMethod}
}
