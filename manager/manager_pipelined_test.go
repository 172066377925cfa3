package manager_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

// Clients of go-redis that gather the commands of several requests: nothing is lost, nor left behind.
func TestPipelinedClients(t *testing.T) {
	t.Parallel()
	const nodes, tabs, times = 2, 4, 10
	type face = func(redis.UniversalClient) (*redis.AutoPipeliner, error)
	for name, pipelined := range map[string]face{
		"blocking":     func(c redis.UniversalClient) (*redis.AutoPipeliner, error) { return c.AutoPipeline() },
		"asynchronous": func(c redis.UniversalClient) (*redis.AutoPipeliner, error) { return c.AsyncAutoPipeline() },
		"full duplex": func(c redis.UniversalClient) (*redis.AutoPipeliner, error) {
			return c.AsyncAutoPipelineWithOptions(&redis.AutoPipelineOptions{FullDuplex: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, b redistest.Backend) {
				t.Parallel()
				var all []*node
				for range nodes {
					client, err := pipelined(b.Client(t))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { client.Close() })
					all = append(all, serve(t, open(t, client, configured(b.Prefix)), shop))
				}
				shared, own := newBrowser(t), newBrowser(t)
				shared.get(all[0], "/add")
				own.get(all[0], "/add")
				var wg sync.WaitGroup
				add := func(tab *browser, n *node) {
					if r := tab.get(n, "/add"); r.StatusCode != http.StatusOK {
						t.Errorf("%d %s", r.StatusCode, r.body)
					}
				}
				for i := range nodes * tabs {
					wg.Go(func() {
						for range times {
							add(shared, all[i%nodes]) // in turn with others
						}
					})
				}
				wg.Go(func() {
					for range times {
						add(own, all[0]) // alone
					}
				})
				wg.Wait()
				for _, c := range []struct {
					tab  *browser
					want int
				}{{shared, 1 + nodes*tabs*times}, {own, 1 + times}} {
					if got := c.tab.get(all[1], "/look").body; got != fmt.Sprint(c.want) {
						t.Errorf("the count is %s, want %d", got, c.want)
					}
				}
				unlocked(t, b.Client(t), b.Prefix)
			})
		})
	}
}
