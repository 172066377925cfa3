package invalidate_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/invalidate"
)

// A node listens on its own channel, and another one tells it of a commit.
func Example() {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = client.Close() }()

	changed := make(chan string, 1)
	feed, err := invalidate.Start(client, invalidate.Config{
		Node:         "hf:node:A",
		OnInvalidate: func(id string) { changed <- id },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer func() { _ = feed.Close(ctx) }()

	if err := feed.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}
	client.Publish(ctx, "hf:node:A", invalidate.EncodeInvalidation("cart", 2))
	fmt.Println(<-changed, !feed.FreshAsOf().IsZero())
	// Output: cart true
}
