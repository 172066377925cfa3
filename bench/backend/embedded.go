package backend

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"

	"github.com/holdfast-go/holdfast/embedded"
)

// startEmbedded runs the library's own Redis, inside this process.
func startEmbedded() (*Backend, error) {
	server, err := embedded.Start()
	if err != nil {
		return nil, fmt.Errorf("start embedded Redis: %w", err)
	}
	return &Backend{Addr: server.Addr(), stop: server.Close}, nil
}

// startPlain runs what the library's own Redis is made of, inside this process.
func startPlain() (*Backend, error) {
	server, err := miniredis.Run()
	if err != nil {
		return nil, fmt.Errorf("start miniredis: %w", err)
	}
	server.ClockTTL(true) // without it keys would expire only on command
	return &Backend{Addr: server.Addr(), stop: func() error { server.Close(); return nil }}, nil
}
