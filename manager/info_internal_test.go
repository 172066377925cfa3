package manager

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/holdfast-go/holdfast/store"
)

// FuzzClientInfo reads what clients say about themselves, stores it and reads it back, and reads what Redis may hold in
// its place. The address is one, or none; no trusted proxy is taken for a client.
func FuzzClientInfo(f *testing.F) {
	m := &Manager{policy: policy{cfg: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}}
	f.Add("Mozilla/5.0", "10.0.0.1:80", "1.2.3.4, 10.0.0.2", `{"ua":"x","ip":"1.2.3.4"}`)
	f.Add("\xff\xfe", "[fd00::1%eth0]:80", "::ffff:1.2.3.4,,", "{")
	f.Add("", "", "unknown, _hidden, [::1]:8080", "null")
	f.Add("a", "10.0.0.1", "1.2.3.4;10.0.0.1", `{"ua":1}`)
	f.Fuzz(func(t *testing.T, agent, peer, forwarded, stored string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"User-Agent": {agent}, "X-Forwarded-For": {forwarded, forwarded}}}
		text := m.clientOf(r)
		info := infoOf(&store.Record{Client: text}, time.Now())
		if len(info.UserAgent) > maxUserAgent || !utf8.ValidString(info.UserAgent) {
			t.Fatalf("user agent %q", info.UserAgent)
		}
		if info.RemoteAddr != "" {
			addr, err := netip.ParseAddr(info.RemoteAddr)
			if err != nil || addr.Zone() != "" || addr.Is4In6() {
				t.Fatalf("address %q: %v", info.RemoteAddr, err)
			}
		}
		_ = infoOf(&store.Record{Client: stored}, time.Now())
	})
}
