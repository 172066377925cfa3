// Package replica is an application with sessions that runs as an operating system process of its own, so that tests
// can kill it, stop it and cut it off as operators see it happen. It is driven over HTTP.
//
// The program is the test's own binary, started again. A package that uses it has
//
//	func TestMain(m *testing.M) {
//		replica.Main() // runs the replica and exits, in a process that was started as one
//		redistest.Main(m)
//	}
//
// Every route is POST /MODE/OPERATION, with a mode of the manager (exclusive, lazy, optimistic, readonly) and one of
// create, add, set, read, rotate and remove. The token travels in a header. A [Reply] says what was found; when the
// session could not be opened or committed, the header X-Outcome names the error. Operations are those of package history.
package replica
