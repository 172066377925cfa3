package backend

import (
	"fmt"

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
