// Package operate does what the operator's commands are for: list sessions, show one, revoke them, look at locks, watch
// the messages between nodes. All of it but revoking leaves no trace in Redis: it counts as no use of a session,
// registers no copy and waits for no lock.
package operate
