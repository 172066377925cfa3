// Package sim runs a cluster of managers and a Redis in one testing/synctest bubble, with a network between them that
// loses, delays, repeats and reorders, nodes that pause and die, and a Redis that restarts; and checks with package
// history that the promises of the library are kept.
//
// A seed decides how the cluster is configured, when its clients are busy, and what every client, every fault and every
// connection draws by chance. [Run] is called inside the bubble and simulates one seed under one [Fault]. A seed does not
// replay a run: within one virtual instant the Go scheduler decides who comes first, and the library draws random numbers
// of its own, so the same seed leads to similar runs, not to equal ones. Therefore a run that fails keeps its history, which
// can be checked again (History.Keep), and its log lists every operation on the sessions that are concerned.
//
// Time is virtual, so leases of seconds pass in microseconds. Nothing here says anything about speed.
package sim
