package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/embedded"
)

// wire is a connection on which a test sees each byte of a reply.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

// wireTo dials a server as its clients do.
func wireTo(t *testing.T, srv *embedded.Server) *wire {
	t.Helper()
	conn, err := srv.Client().Options().Dialer(context.Background(), "tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return newWire(t, conn)
}

func newWire(t *testing.T, conn net.Conn) *wire {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{conn: conn, in: bufio.NewReader(conn)}
}

// do sends a command and returns its reply as it came.
func (w *wire) do(t *testing.T, args ...string) string {
	t.Helper()
	var cmd strings.Builder
	fmt.Fprintf(&cmd, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&cmd, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(w.conn, cmd.String()); err != nil {
		t.Fatalf("send %q: %v", args, err)
	}
	var reply strings.Builder
	if err := w.reply(&reply); err != nil {
		t.Fatalf("read the reply to %q after %q: %v", args, reply.String(), err)
	}
	return reply.String()
}

// reply copies one reply, of RESP2 or RESP3.
func (w *wire) reply(to *strings.Builder) error {
	line, err := w.in.ReadString('\n')
	to.WriteString(line)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$':
		if n < 0 {
			return nil
		}
		_, err := io.CopyN(to, w.in, int64(n)+2)
		return err
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return nil
	}
	for range n {
		if err := w.reply(to); err != nil {
			return err
		}
	}
	return nil
}
