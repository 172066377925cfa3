// Package wiretap is a TCP proxy between Redis clients and a server, or the servers of a set. It counts round trips as
// they happen on the wire, keeps the bytes, and injects the faults that networks have.
//
// What a client library reports about itself is not what it sends: retries, handshakes and probes are invisible to its
// caller. The proxy sees all of it, which is why every claim about round trips is measured here.
//
// A round trip begins with the first command that a client sends while it awaits no reply on that connection, and ends
// when all commands sent meanwhile are answered. So a pipeline is one trip and two commands one after the other are
// two. A pipeline too long for one packet stays one trip as long as the cuts fall inside its commands, as they nearly
// always do.
//
//	p, err := wiretap.Listen(server)
//	if err != nil {
//		return err
//	}
//	defer p.Close()
//	rdb := redis.NewClient(&redis.Options{Addr: p.Addr()})
//	warmUp(rdb)
//	p.Reset()
//	request(rdb)
//	fmt.Println(p.Trips(), p.Commands())
//
// Not counted are connections that subscribe, and trips that consist of a connection's handshake alone; see
// [Proxy.Ignore] to leave out more.
//
// The proxy itself does not import package testing, because benchmarks and demonstrations use it too.
package wiretap
