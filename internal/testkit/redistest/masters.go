package redistest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Masters returns a client of each server that takes writes: of a cluster's masters, or else the client itself. They
// end with it.
func Masters(tb testing.TB, client redis.UniversalClient) []redis.Cmdable {
	tb.Helper()
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return []redis.Cmdable{client}
	}
	found := make(chan redis.Cmdable, 1000)
	err := cluster.ForEachMaster(context.Background(), func(_ context.Context, c *redis.Client) error {
		found <- c
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	close(found)
	var masters []redis.Cmdable
	for c := range found {
		masters = append(masters, c)
	}
	return masters
}

// Keys lists the keys that match a pattern, on every master.
func Keys(tb testing.TB, client redis.UniversalClient, pattern string) (keys []string) {
	tb.Helper()
	for _, master := range Masters(tb, client) {
		some, err := master.Keys(context.Background(), pattern).Result()
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, some...)
	}
	return keys
}

// Channels lists the channels that match a pattern and have a subscriber, on every master.
func Channels(tb testing.TB, client redis.UniversalClient, pattern string) (channels []string) {
	tb.Helper()
	for _, master := range Masters(tb, client) {
		some, err := master.PubSubChannels(context.Background(), pattern).Result()
		if err != nil {
			tb.Fatal(err)
		}
		channels = append(channels, some...)
	}
	return channels
}
