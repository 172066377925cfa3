package lock_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
)

type dbg struct{ n string }

func (d *dbg) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (d *dbg) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		fmt.Println("process", cmd.Name())
		return next(ctx, cmd)
	}
}
func (d *dbg) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	fmt.Println("wrapped")
	return func(ctx context.Context, cmds []redis.Cmder) error {
		fmt.Println("ran")
		return next(ctx, cmds)
	}
}

func TestDbg(t *testing.T) {
	srv, _ := embedded.Start()
	defer srv.Close()
		c := redis.NewClient(&redis.Options{Addr: srv.Addr()})
		defer c.Close()
		c.AddHook(&dbg{})
		fmt.Println("cloning")
		cl := c.WithTimeout(50 * time.Millisecond)
		p := cl.Pipeline()
		p.Ping(t.Context())
		fmt.Println("exec")
		_, err := p.Exec(t.Context())
		fmt.Println("clone", err)
		cl.Ping(t.Context())
}
