// Package redistest gives tests real Redis servers. It starts redis-server processes on free loopback ports, each with
// a directory of its own, and ends them with the test or, at the latest, with the test's process.
//
// A package whose tests use it has
//
//	func TestMain(m *testing.M) { redistest.Main(m) }
//
// which also checks for leaked goroutines. Tests then choose what they need:
//
//   - [Each]: run a test on miniredis and on a real server. The usual choice.
//   - [Shared]: the real one alone, for all parallel tests of the package, kept apart by [Prefix].
//   - [Backend.Tap]: a proxy in front of it that counts round trips and injects faults.
//   - [Start]: a server of one's own, to kill, pause, restart or configure.
//   - [StartSentinel], [StartCluster]: a failover set and a cluster of one's own.
//
// The shared server is one redis-server by default. With HOLDFAST_TOPOLOGY=sentinel it is a failover set behind three
// sentinels, with HOLDFAST_TOPOLOGY=cluster a cluster of three masters with a replica each; then nothing runs on
// miniredis, and tests that make no use of the topology skip with [Only]. The clients of a [Backend] are of its kind.
//
// Where redis-server is not installed, such tests skip and [Main] reports it at the end. With HOLDFAST_REQUIRE_REDIS=1, as
// in CI, they fail instead. See package need.
//
// Servers must not be started inside a testing/synctest bubble: they are processes, and live on real time.
package redistest
