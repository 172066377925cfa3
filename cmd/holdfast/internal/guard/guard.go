// Package guard keeps the pages that this program serves to those who sit at the machine: it refuses to listen elsewhere
// unless asked to, and refuses requests that a foreign page has led here.
package guard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// Listen says whether the program may listen at an address. Beyond this machine's loopback it may only if public is set.
func Listen(addr string, public bool) error {
	host, _, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return fmt.Errorf("-listen needs HOST:PORT, such as localhost:8080")
	case !public && !isLoopback(host):
		return fmt.Errorf("-listen %s can be reached from other machines: add -public to allow it", addr)
	}
	return nil
}

// Public reports whether an address can be reached from other machines.
func Public(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err != nil || !isLoopback(host)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Hosts are the names that requests may give a server. A page whose own name was made to lead here (DNS rebinding) sends
// its name, so requests with any other name are refused.
type Hosts struct {
	public bool
	names  map[string]bool
}

// NewHosts returns the names of a server that listens at an address: localhost and loopback addresses. If it can be
// reached from other machines, every IP address and the machine's own name count too.
func NewHosts(listen string) Hosts {
	h := Hosts{public: Public(listen), names: map[string]bool{"localhost": true}}
	if h.public {
		if name, err := os.Hostname(); err == nil {
			h.names[strings.ToLower(name)] = true
		}
		if host, _, err := net.SplitHostPort(listen); err == nil {
			h.names[strings.ToLower(host)] = true
		}
	}
	return h
}

func (h Hosts) allows(hostPort string) bool {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if h.names[host] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (h.public || ip.Unmap().IsLoopback())
}

// Handler passes on requests that name this server, and that no page of another origin has sent. Others get 403.
func (h Hosts) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !h.allows(r.Host):
			http.Error(w, "This server has another name. Open the address that the command printed.", http.StatusForbidden)
		case foreign(r):
			http.Error(w, "Requests from other sites are refused.", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// foreign reports whether a page of another origin has sent the request, other than by a link. Browsers say so in
// Sec-Fetch-Site, and old ones only in Origin.
func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Header.Get("Sec-Fetch-Site") == "same-origin" { // Origin is null under no-referrer
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}
