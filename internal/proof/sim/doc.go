// Package sim runs a cluster of managers and a Redis in one testing/synctest bubble, with a network between them that
// loses, delays, repeats and reorders, nodes that pause and die, and a Redis that restarts; and checks with package
// history that the promises of the library are kept.
//
// A seed decides what the nodes, the clients and the network do, and when. [Run] is called inside the bubble and
// simulates one seed under one [Fault]. The same seed gives the same schedule: the same configuration, the same
// requests at the same virtual times, the same faults. Within one virtual instant the Go scheduler decides who comes
// first, and the library draws random numbers of its own; so a seed narrows a failure down to one short schedule, which
// shows it again often but not always.
//
// Time is virtual, so leases of seconds pass in microseconds. What costs real time is miniredis, about a millisecond
// for each call of a script. Nothing here says anything about speed.
package sim
