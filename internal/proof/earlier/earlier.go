// Package earlier makes a client run the scripts of a release before this one, so that a test can have replicas of both on
// one Redis: what they read and write there is all that replicas know of each other.
//
// The scripts are those of the release as it sent them, without comments. They are never changed. A release that changes the
// arguments of a script has to translate them here; one that cannot is not fit to run together with the one before it.
package earlier

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"sync"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts.json
var saved []byte

// Scripts is a hook of a go-redis client. Add it to the client before the Manager is made.
type Scripts struct {
	source map[string]string // of the earlier release, by name

	mu    sync.Mutex
	names map[string]string // of this release's scripts, by hash
	ran   map[string]int
}

var _ redis.Hook = (*Scripts)(nil)

// New returns the scripts of the earlier release.
func New() (*Scripts, error) {
	s := &Scripts{names: make(map[string]string), ran: make(map[string]int)}
	return s, json.Unmarshal(saved, &s.source)
}

// Ran returns how often each script of the earlier release was sent, by name.
func (s *Scripts) Ran() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ran := make(map[string]int, len(s.ran))
	maps.Copy(ran, s.ran)
	return ran
}

// DialHook implements redis.Hook.
func (*Scripts) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (s *Scripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := s.replace(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s *Scripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if err := s.replace(cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmds)
	}
}

// header names the script that a source ends with; what stands in front of it are its functions.
var header = regexp.MustCompile(`(?m)^-- (\w+)\.lua:`)

// unknownHash makes a server ask for the source, which tells the name.
const unknownHash = "0000000000000000000000000000000000000000"

// replace puts the earlier script into a command that runs one of this release.
func (s *Scripts) replace(cmd redis.Cmder) error {
	args := cmd.Args()
	if len(args) < 3 {
		return nil
	}
	text, _ := args[1].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch args[0] {
	case "evalsha":
		name := s.names[text]
		if name == "" {
			args[1] = unknownHash
			return nil
		}
		return s.use(args, name)
	case "eval":
		all := header.FindAllStringSubmatch(text, -1)
		if len(all) == 0 { // it was replaced before, and is sent again
			return nil
		}
		name := all[len(all)-1][1]
		s.names[redis.NewScript(text).Hash()] = name
		return s.use(args, name)
	}
	return nil
}

func (s *Scripts) use(args []any, name string) error {
	source, ok := s.source[name]
	if !ok {
		return fmt.Errorf("the earlier release has no script %q", name)
	}
	s.ran[name]++
	args[0], args[1] = "eval", source
	return nil
}
