package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/internal/rdb"
)

// Explain says in one line what an error of the Redis means and what to do about it, without any password.
func (t *Target) Explain(err error) error {
	if err == nil {
		return nil
	}
	return t.explain(t.Name, err)
}

// ExplainAt is Explain for an error of one server.
func (t *Target) ExplainAt(addr string, err error) error {
	if err == nil {
		return nil
	}
	return t.explain("Redis at "+addr, err)
}

func (t *Target) explain(where string, err error) error {
	text := diagnosis(where, t.cfg, err)
	if strings.HasPrefix(where, "Sentinel at ") {
		text = strings.ReplaceAll(text, PasswordVariable, SentinelPasswordVariable)
	}
	for _, secret := range []string{t.cfg.password, t.cfg.sentinelPassword} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return &explained{text: text, outage: rdb.IsOutage(rdb.Classify(err))}
}

// explained is an error of the Redis in words.
type explained struct {
	text   string
	outage bool // a server is the cause, and not what it was asked
}

func (e *explained) Error() string { return e.text }

// answers are what servers say, with what it means.
var answers = []struct{ contains, meaning string }{
	{"WRONGPASS", "refuses the user or password: check " + PasswordVariable + " or the URL"},
	{"invalid password", "refuses the password: check " + PasswordVariable + " or the URL"},
	{"without any password configured", "has no password set, but one was given: leave it out"},
	{"NOAUTH", "asks for a password: set " + PasswordVariable + ", or write redis://user:password@host:port"},
	{"DB index is out of range", "has no database of that number: correct the end of the URL"},
	{"not allowed in cluster mode", "is a node of a Redis Cluster: add -cluster, and leave the number out of the URL"},
	{"MOVED", "is a node of a Redis Cluster: add -cluster, or give several nodes, comma-separated"},
	{"CLUSTERDOWN", "does not serve all slots at the moment: see redis-cli cluster info"},
	{"LOADING", "is loading its data: try again when it has finished"},
	{"READONLY", "is a replica and takes no writes: give the primary, or its Sentinels with -sentinel"},
	{"MASTERDOWN", "is a replica without its primary: give the primary"},
	{"MISCONF", "takes no writes since it cannot save to disk: see its log"},
	{"OOM", "is out of memory and takes no writes: raise maxmemory"},
	{"max number of clients", "has no room for one more client: raise maxclients"},
}

func diagnosis(where string, cfg Config, err error) string {
	if answer, ok := errors.AsType[redis.Error](err); ok {
		for _, a := range answers {
			if strings.Contains(err.Error(), a.contains) {
				return where + " " + a.meaning
			}
		}
		if redis.IsPermissionError(err) {
			return where + " does not let this user do that: " + oneLine(answer)
		}
	}
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var otherName x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("cannot reach %s: no such host %q: correct -redis", where, dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("cannot reach %s: connection refused: start it, or correct -redis", where)
	case errors.As(err, &record):
		return where + " does not speak TLS: write redis:// instead of rediss://"
	case errors.As(err, &otherName):
		return where + " shows a certificate of another name: " + oneLine(otherName) + ": give one of its names in -redis, or have it reissued"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return where + " shows a certificate that is not valid now: " + oneLine(invalid) + ": renew it, or correct this machine's clock"
	case errors.As(err, &authority):
		return where + " shows a certificate that this machine does not trust: " + oneLine(authority) + ": for a private authority give -cacert, and if it is given, correct it"
	case errors.As(err, &certificate):
		return where + " shows a certificate that this machine does not trust: " + oneLine(err)
	case isTimeout(err) && cfg.tls != nil:
		return fmt.Sprintf("%s does not answer within %v: it may not speak TLS (then write redis://), be overloaded, or behind a firewall", where, cfg.Timeout)
	case isTimeout(err):
		return fmt.Sprintf("%s does not answer within %v: see whether it is overloaded or a firewall is in between, or raise -timeout", where, cfg.Timeout)
	case rdb.NeverSent(err):
		return fmt.Sprintf("cannot reach %s: %s", where, oneLine(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if cfg.tls == nil {
			return where + " closed the connection: it may have stopped, or require TLS (rediss://)"
		}
		return where + " closed the connection"
	}
	if strings.Contains(err.Error(), "tls: certificate required") || strings.Contains(err.Error(), "tls: bad certificate") {
		return where + " asks for a client certificate: give -cert and -key"
	}
	if strings.Contains(err.Error(), "redis: can't parse") {
		return where + " does not answer as a Redis does: correct -redis"
	}
	return where + ": " + oneLine(err)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// oneLine is an error's text without line breaks or control characters.
func oneLine(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", ": ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}
