package lock_test

import (
	"context"
	"fmt"
	"log"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/lock"
)

// Two processes take turns at an invoice; here both are lockers of one program, on a Redis inside it.
func Example() {
	srv, err := embedded.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx := context.Background()

	here, err := lock.New(srv.NewClient(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close(ctx)
	there, err := lock.New(srv.NewClient(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer there.Close(ctx)

	lease, err := here.Acquire(ctx, "invoice 42")
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lease, err := there.Acquire(ctx, "invoice 42") // waits for its turn
		if err != nil {
			log.Fatal(err)
		}
		defer lease.Release(ctx)
		fmt.Println("there: paid")
	}()

	fmt.Println("here: written")
	if err := lease.Release(ctx); err != nil {
		log.Fatal(err) // it was lost: another process may have held it as well
	}
	<-done
	// Output:
	// here: written
	// there: paid
}
