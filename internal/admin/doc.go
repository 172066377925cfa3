// Package admin reads sessions, locks and messages for operators, and revokes sessions. The command line and the console
// both use it. Reading has no effect on sessions: it extends no idle timeout, registers no local copy and joins no lock
// queue.
package admin
