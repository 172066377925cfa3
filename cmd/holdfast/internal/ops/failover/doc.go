// Package failover replaces a primary by one of its replicas as planned, without losing a write that was acknowledged:
// it pauses writes, waits for a replica that has everything, has Sentinel or the cluster promote it, and watches until
// the new primary serves.
package failover
