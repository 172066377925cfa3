// Package faults holds the tests of what must hold when things break: real servers, and replicas that are processes of
// their own, are killed, stopped, cut off, flushed and failed over while many clients use sessions. What the clients were told
// is recorded in a history and checked: see package history for what counts as a violation.
//
//	go test ./internal/proof/faults                      no fault, and replicas that are killed
//	go test ./internal/proof/faults -faults.ops 1000     every fault, with so many operations under each
//
// A run ends with a table of what was found. docs/failures.md says what it means for an application.
package faults
