package measure

import (
	"context"
	"runtime"
	"time"
)

// Server reads the CPU time a Redis has used so far. It answers false where
// there is none to read, as for a Redis inside this process.
type Server interface {
	CPU(ctx context.Context) (used time.Duration, ok bool, err error)
}

// Cost is a reading of the meters, or the difference of two.
type Cost struct {
	Elapsed time.Duration
	Client  time.Duration // CPU of this process, both sides of an HTTP request included
	Redis   time.Duration // CPU of the server; zero where it cannot be read
	Allocs  uint64        // heap objects

	at time.Time
}

// Read takes a reading. It stops the world for a moment, so it belongs outside
// of what is timed.
func Read(ctx context.Context, server Server) (Cost, error) {
	redis, _, err := server.CPU(ctx)
	if err != nil {
		return Cost{}, err
	}
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	return Cost{Client: processCPU(), Redis: redis, Allocs: heap.Mallocs, at: time.Now()}, nil
}

// Since returns what was spent since an earlier reading.
func (c Cost) Since(earlier Cost) Cost {
	return Cost{
		Elapsed: c.at.Sub(earlier.at),
		Client:  c.Client - earlier.Client,
		Redis:   c.Redis - earlier.Redis,
		Allocs:  c.Allocs - earlier.Allocs,
	}
}
