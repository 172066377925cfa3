package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/guard"
)

func TestListen(t *testing.T) {
	t.Parallel()
	for addr, public := range map[string]bool{
		"localhost:8080": false, "127.0.0.1:0": false, "127.9.9.9:80": false, "[::1]:80": false, "[::ffff:127.0.0.1]:80": false,
		":8080": true, "0.0.0.0:8080": true, "[::]:80": true, "192.168.1.2:80": true, "example.org:80": true, "localhost.example.org:80": true,
	} {
		if got := guard.Public(addr); got != public {
			t.Errorf("%s: public is %v", addr, got)
		}
		if err := guard.Listen(addr, false); (err != nil) != public {
			t.Errorf("%s: got %v", addr, err)
		}
		if err := guard.Listen(addr, true); err != nil {
			t.Errorf("%s with -public: got %v", addr, err)
		}
	}
	if guard.Listen("8080", true) == nil {
		t.Error("an address without a port was taken")
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		listen, host string
		header       [2]string
		ok           bool
	}{
		{"localhost:8080", "localhost:8080", [2]string{}, true},
		{"localhost:8080", "LOCALHOST", [2]string{}, true},
		{"localhost:8080", "127.0.0.1:8080", [2]string{}, true},
		{"localhost:8080", "[::1]:8080", [2]string{}, true},
		{"localhost:8080", "evil.example:8080", [2]string{}, false},
		{"localhost:8080", "localhost.evil.example:8080", [2]string{}, false},
		{"localhost:8080", "192.168.1.2:8080", [2]string{}, false},
		{"localhost:8080", "", [2]string{}, false},
		{"0.0.0.0:8080", "192.168.1.2:8080", [2]string{}, true},
		{"0.0.0.0:8080", "evil.example:8080", [2]string{}, false},
		{"shop.example:8080", "shop.example:8080", [2]string{}, true},
		{"localhost:8080", "localhost:8080", [2]string{"Origin", "http://localhost:8080"}, true},
		{"localhost:8080", "localhost:8080", [2]string{"Origin", "http://localhost:9090"}, false},
		{"localhost:8080", "localhost:8080", [2]string{"Origin", "https://evil.example"}, false},
		{"localhost:8080", "localhost:8080", [2]string{"Origin", "null"}, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Host = c.host
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		rec := httptest.NewRecorder()
		guard.NewHosts(c.listen).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })).ServeHTTP(rec, r)
		if ok := rec.Code == http.StatusNoContent; ok != c.ok || !ok && rec.Code != http.StatusForbidden {
			t.Errorf("%+v: status %d", c, rec.Code)
		}
	}
}
