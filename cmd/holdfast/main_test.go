package main

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // as main does
	redistest.Main(m)
}
