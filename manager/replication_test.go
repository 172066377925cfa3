package manager_test

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/manager"
)

func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	redistest.Only(t, redistest.OwnSet)
	for topology, start := range map[string]func(*testing.T) redis.UniversalClient{
		"sentinel": func(t *testing.T) redis.UniversalClient {
			t.Helper()
			return redistest.StartPatientSentinel(t).Client(t)
		}, // two replicas
		"cluster": func(t *testing.T) redis.UniversalClient {
			t.Helper()
			return redistest.StartPatientCluster(t).Client(t)
		}, // one for each master
	} {
		t.Run(topology, func(t *testing.T) {
			t.Parallel()
			client := start(t)
			wait := func(n int) func(*manager.Config) { return func(c *manager.Config) { c.WaitReplicas = n } }
			some := serve(t, open(t, client, configured("some", wait(1))), shop)
			more := serve(t, open(t, client, configured("more", wait(3))), shop)
			for range 5 { // in slots of several masters
				tab := newBrowser(t)
				for range 3 {
					if r := tab.get(some, "/add"); r.StatusCode != http.StatusOK {
						t.Errorf("confirmed by one replica: %d %q", r.StatusCode, r.body)
					}
				}
			}
			if r := newBrowser(t).get(more, "/add"); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") != "" {
				t.Errorf("with too few replicas: %d %q", r.StatusCode, r.body)
			}
			if st := more.Stats(); st.OutcomeLost != 1 {
				t.Errorf("stats: %+v", st)
			}
		})
	}
}
