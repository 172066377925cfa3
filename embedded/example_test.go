package embedded_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/holdfast-go/holdfast/embedded"
)

func ExampleStart() {
	srv, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	rdb := srv.Client() // as good as any other *redis.Client
	if err := rdb.Set(ctx, "greeting", "hello", time.Minute).Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(rdb.Get(ctx, "greeting").Val())
	// Output: hello
}
