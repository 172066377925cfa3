package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/holdfast-go/holdfast/manager"
)

// configEnv is the variable that makes a process a replica, with its Config in JSON.
const configEnv = "HOLDFAST_REPLICA"

const closeTimeout = 20 * time.Second

// Main runs the replica and exits if this process was started as one; otherwise it returns at once.
func Main() {
	text, ok := os.LookupEnv(configEnv)
	if !ok {
		return
	}
	if err := run(text, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run serves until in ends. It writes its address to out, in one line.
func run(text string, in io.Reader, out io.Writer) error {
	var cfg Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return fmt.Errorf("read the config: %w", err)
	}
	log := slog.New(slog.DiscardHandler)
	if cfg.Verbose {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	redis.SetLogger(&logging.VoidLogger{})
	client := cfg.client()
	defer client.Close()
	m, err := manager.New(client, cfg.manager(log, manager.Hooks{Opened: noteOpened}))
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &server{m: m}
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: closeTimeout}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if _, err := fmt.Fprintln(out, ln.Addr()); err != nil {
		return err
	}

	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return fmt.Errorf("shut the server down: %w", err)
	}
	<-served
	return m.Close(ctx)
}
