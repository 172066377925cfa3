package cache_test

import (
	"fmt"

	"github.com/holdfast-go/holdfast/cache"
)

// A read that a commit overtakes must not leave its answer behind.
func Example() {
	c, err := cache.New(cache.Config[string]{
		MaxBytes: 1 << 20,
		Size:     func(id, v string) int { return len(id) + len(v) + 64 },
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	fill := c.Begin("cart")
	answer, counter := "1 apple", uint64(1) // what the server said

	c.Invalidate("cart") // meanwhile another node committed version 2

	fmt.Println("stored:", c.Put(fill, counter, answer))
	fmt.Println("stored:", c.Put(c.Begin("cart"), 2, "2 apples"))
	v, ok := c.Get("cart")
	fmt.Println(v, ok)
	// Output:
	// stored: false
	// stored: true
	// 2 apples true
}
