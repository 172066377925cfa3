// Package soak is the long run: eight replica processes, many sessions, and faults at random, one after the other. At
// its end nothing that was promised may have been broken, and memory, goroutines, connections and keys must be where
// they were before.
//
//	go test ./internal/proof/soak -soak.for 15s                          a short one
//	go test ./internal/proof/soak -v -timeout 0 -soak.for 10m -soak.sessions 20000
package soak
