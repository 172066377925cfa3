// Package redistest gives tests real Redis servers. It starts redis-server processes on free loopback ports, each with
// a directory of its own, and ends them with the test or, at the latest, with the test's process.
//
// A package whose tests use it has
//
//	func TestMain(m *testing.M) { redistest.Main(m) }
//
// which also checks for leaked goroutines. Tests then choose what they need:
//
//   - [Shared]: one server for all parallel tests of the package, kept apart by [Prefix]. The usual choice.
//   - [Each]: run a test on miniredis and on a real server.
//   - [Start]: a server of one's own, to kill, pause, restart or configure.
//   - [StartSentinel], [StartCluster]: a failover set and a cluster.
//   - [Tap]: a proxy in front of a server that counts round trips and injects faults.
//
// Where redis-server is not installed, such tests skip and [Main] says so at the end. With HOLDFAST_REQUIRE_REDIS=1, as
// in CI, they fail instead: a green run must not mean that nothing was run.
//
// Servers must not be started inside a testing/synctest bubble: they are processes, and live on real time.
package redistest
