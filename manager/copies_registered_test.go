package manager_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/manager"
)

// Requests that go from node to node leave no node in the directory of copies, so that a commit need not notify any.
func TestNodesThatTakeTurnsAreNotRegistered(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		nodes := []*manager.Manager{v.manager(retaining(4 * time.Second)), v.manager(retaining(4 * time.Second))}
		time.Sleep(time.Second)
		_, token := visit(nodes[0], nodes[0].Handler, "", add)
		client := v.srv.NewClient()
		defer client.Close()
		for i := range 10 {
			if code := post(nodes[(i+1)%len(nodes)], token, add); code != http.StatusOK {
				t.Fatalf("answered %d", code)
			}
			if n := client.HGet(context.Background(), "holdfast:{"+idOf(token)+"}", "n").Val(); n != "" {
				t.Errorf("request %d: the directory of copies is %q, want none", i, n)
			}
		}
		if got := found(nodes[0], token); got != 11 {
			t.Errorf("count is %d, want 11", got)
		}
	})
}
