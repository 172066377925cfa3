package embedded_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
)

// A client that dials while its server is closed gives up at once. One that paused for another try would still be in the
// bubble when the test is over.
func TestDialingAClosedServerEndsAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, srv *embedded.Server) {
		opt := *srv.NewClient().Options()
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
		opt.MaxRetries = -1
		client := redis.NewClient(&opt)
		defer client.Close()
		start := time.Now()
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Error("a closed server has answered")
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("the client gave up after %v", took)
		}
	})
}
