package main

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // as main does
	target.CallTime = time.Minute
	target.ProbeTime, target.SentinelTime, target.PausedTime = 2*time.Second, 5*time.Second, 5*time.Second
	redistest.Main(m)
}
