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
// [Start] listens on a loopback port, so that other programs can connect, too. [InMemory] opens no
// socket: its clients connect in memory, so it also works inside a testing/synctest bubble. There,
// time.Sleep also moves the server's clock, and an idle timeout of a day passes at once.
//
// # What it is not
//
// It is [miniredis], not Redis, and not for production:
//
//   - Nothing is written to disk: closing the server, or ending the process, loses everything.
//   - It never evicts, never replicates and never fails over; WAIT returns at once.
//   - Its speed is not that of Redis. Compare programs on it only with each other, not with figures
//     from a real server.
//   - Its Lua is a different implementation. Scripts that work here still have to be tested on a real server.
//   - Its clock moves in steps of a millisecond, or of 5 microseconds for each key if that is more: 50 ms with 10,000
//     keys. A key can expire too early or too late by one step. In a synctest bubble it expires exactly.
//   - It has no password, no TLS and no limit on memory. On a shared machine, every local user who finds the port of
//     Start can read and write all sessions.
//
// # Scripts
//
// On its own, miniredis makes a new Lua interpreter for each script call and looks at every key for each command. This
// package runs scripts on interpreters that it keeps, and moves the clock of miniredis in steps. The commands themselves
// are those of miniredis; one on which it panics, such as a pattern that is not UTF-8, gets an error, and its connection
// ends. A script that could change what the next one sees, by assigning to a field of a library for example, runs on
// miniredis alone, as slowly as it does there. So does one in a transaction.
//
// This depends on unexported fields of miniredis. If a version lacks them, the servers run
// miniredis alone, and the process logs one warning.
//
// [miniredis]: https://github.com/alicebob/miniredis
package embedded
