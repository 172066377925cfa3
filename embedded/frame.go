package embedded

import (
	"errors"
	"net"
	"strconv"
)

// Bounds of what a client may send, as in Redis.
const (
	maxArgs = 1 << 20
	maxBulk = 512 << 20
	maxLine = 64 << 10
)

var errProtocol = errors.New("embedded: the client does not speak the protocol of Redis")

// framed is a server's end of a connection. It ends the connection before a command on which miniredis would panic while it
// reads it: one without a name, or of a size that does not exist.
type framed struct {
	net.Conn

	line []byte // a header, as far as it has arrived
	args int    // of this command, still to come
	skip int    // bytes of an argument, still to come
}

func (f *framed) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	if !f.scan(b[:n]) {
		return 0, errProtocol
	}
	return n, err
}

// scan follows the frames, and reports whether all of them are in order.
func (f *framed) scan(b []byte) bool {
	for len(b) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(b))
			f.skip, b = f.skip-n, b[n:]
			continue
		}
		c := b[0]
		f.line, b = append(f.line, c), b[1:]
		switch {
		case c == '\n' && !f.header(f.line), len(f.line) > maxLine:
			return false
		case c == '\n':
			f.line = f.line[:0]
		}
	}
	return true
}

// header takes in a line, which ends as miniredis expects: in two bytes that do not count.
func (f *framed) header(line []byte) bool {
	if len(line) < 3 {
		return false
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-2]))
	switch {
	case f.args == 0:
		f.args = n
		return line[0] == '*' && err == nil && n > 0 && n <= maxArgs
	case line[0] == '$' && n >= 0:
		f.skip = n + 2
	}
	f.args--
	return line[0] != '$' || err == nil && n <= maxBulk
}
