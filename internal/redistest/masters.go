package redistest

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Keys lists the keys that match a pattern, on every master.
func Keys(tb testing.TB, client redis.UniversalClient, pattern string) []string {
	tb.Helper()
	keys, err := onMasters(client, func(ctx context.Context, c redis.Cmdable) ([]string, error) {
		return c.Keys(ctx, pattern).Result()
	})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// Channels lists the channels that match a pattern and have a subscriber, on whatever server.
func Channels(tb testing.TB, client redis.UniversalClient, pattern string) []string {
	tb.Helper()
	channels, err := onMasters(client, func(ctx context.Context, c redis.Cmdable) ([]string, error) {
		return c.PubSubChannels(ctx, pattern).Result()
	})
	if err != nil {
		tb.Fatal(err)
	}
	return channels
}

// FlushScripts makes the servers forget all scripts.
func FlushScripts(tb testing.TB, client redis.UniversalClient) {
	tb.Helper()
	_, err := onMasters(client, func(ctx context.Context, c redis.Cmdable) ([]string, error) {
		return nil, c.ScriptFlush(ctx).Err()
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// onMasters gathers what every master answers.
func onMasters(client redis.UniversalClient, ask func(context.Context, redis.Cmdable) ([]string, error)) ([]string, error) {
	ctx := context.Background()
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return ask(ctx, client)
	}
	answers := make(chan []string, 100)
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		answer, err := ask(ctx, c)
		answers <- answer
		return err
	})
	close(answers)
	var all []string
	for answer := range answers {
		all = append(all, answer...)
	}
	return all, err
}
