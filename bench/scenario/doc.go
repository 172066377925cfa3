// Package scenario says what the subjects are made to do: the workloads, and
// the plan of which of them run in which sizes.
//
//	rmw        read a counter, add one, write; each session belongs to one worker
//	read       only read it, from Redis or from a local copy
//	mixed      nine reads to one write, over many sessions, some far busier than others
//	bursty     pages: one write and nine reads at once at one node, the next page at any
//	contended  several tabs on several nodes, all on one session
//	replicas   rmw over ever more nodes, with and without a sticky balancer
//	removals   sessions ended while slow requests are still writing them
//	http       whole requests through net/http
//	memory     what a session costs a node that keeps a copy of it
package scenario
