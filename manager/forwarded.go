package manager

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// remoteAddr is the address of the client: of the peer, and while that is a trusted proxy, of whom it says it got the
// request from. Everything further to the left may have been written by anyone.
//
// A proxy appends either to X-Forwarded-For or to Forwarded (RFC 7239), and passes on whatever the client has put into
// the other one. So where the two disagree neither is believed.
func (m *Manager) remoteAddr(r *http.Request) string {
	peer := hopAddr(r.RemoteAddr)
	if !peer.IsValid() {
		return ""
	}
	addr := peer
	if m.trusts(peer) {
		chain, standard := r.Header["X-Forwarded-For"], r.Header["Forwarded"]
		addr = m.client(peer, chain, hopAddr)
		switch other := m.client(peer, standard, forParameter); {
		case len(chain) == 0:
			addr = other
		case len(standard) > 0 && addr != other:
			addr = peer
		}
	}
	return addr.Unmap().WithZone("").String()
}

// Bounds on what is read of a header that clients can make as long as the server allows.
const (
	maxHops     = 64  // more proxies than any request passes
	maxHopBytes = 256 // longer than any address
)

// client walks a chain of hops from its end, which is nearest to this server, to the first one that is not trusted.
func (m *Manager) client(addr netip.Addr, chain []string, parse func(string) netip.Addr) netip.Addr {
	hops := 0
	for i := len(chain) - 1; i >= 0; i-- {
		for line, more := chain[i], true; more; hops++ {
			if hops == maxHops || !m.trusts(addr) {
				return addr
			}
			var hop string
			line, hop, more = lastElement(line)
			next := parse(hop)
			if !next.IsValid() {
				return addr
			}
			addr = next
		}
	}
	return addr
}

// lastElement cuts the last element off a comma-separated list. It looks for the comma from the right, so that a quote which a
// client has opened cannot swallow what proxies have appended.
func lastElement(line string) (rest, element string, more bool) {
	quoted := false
	for i := len(line) - 1; i >= max(0, len(line)-maxHopBytes); i-- {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == ',' && !quoted:
			return line[:i], line[i+1:], true
		}
	}
	if len(line) > maxHopBytes {
		return "", "", false
	}
	return "", line, false
}

// forParameter finds the address in an element of Forwarded, such as for="[2001:db8::1]:4711";proto=https.
func forParameter(element string) netip.Addr {
	for part := range strings.SplitSeq(element, ";") {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(name), "for") {
			return hopAddr(value)
		}
	}
	return netip.Addr{}
}

// forwardedTLS reports whether a proxy says that the client came by HTTPS. It decides nothing but a warning, so anyone may
// say so.
func forwardedTLS(h http.Header) bool {
	return strings.EqualFold(h.Get("X-Forwarded-Proto"), "https") || strings.EqualFold(h.Get("X-Forwarded-Ssl"), "on") ||
		strings.Contains(strings.ToLower(h.Get("Forwarded")), "proto=https")
}

// hopAddr reads an address as servers and proxies write it: with or without a port, brackets and quotes.
func hopAddr(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if n := len(text); n > 1 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	} else if n := len(text); n > 1 && text[0] == '[' && text[n-1] == ']' {
		text = text[1 : n-1]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

func (m *Manager) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range m.cfg.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
