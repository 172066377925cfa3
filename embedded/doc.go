// Package embedded is a Redis inside the process, for development and for the tests of programs that use Holdfast.
//
// It needs no server, no container and no network beyond loopback:
//
//	srv, err := embedded.Start()
//	if err != nil {
//		return err
//	}
//	defer srv.Close()
//	m, err := manager.New(srv.Client(), &manager.Config{Insecure: true})
//
// [Start] listens on a loopback port, so that other programs can connect too. [InMemory] opens no socket at all: its
// clients speak over pipes in memory, which makes it usable inside a testing/synctest bubble. There, time.Sleep moves
// the clock of the server as well, and an idle timeout of a day passes in a microsecond.
//
// # What it is not
//
// It is [miniredis], not Redis, and never for production:
//
//   - Nothing is written to disk: closing the server, or ending the process, loses everything.
//   - It never evicts, never replicates and never fails over; WAIT returns at once.
//   - A script call takes it about a millisecond, many times what Redis needs. Figures measured on it say nothing
//     about speed.
//   - Its Lua is a different implementation. Scripts that work here still have to be tested on a real server.
//   - It has no password, no TLS and no limit on memory. On a shared machine, every local user who finds the port of
//     Start can read and write all sessions.
//
// [miniredis]: https://github.com/alicebob/miniredis
package embedded
