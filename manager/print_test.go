package manager_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/manager"
)

// However a Manager or a Config is printed, no key and no password is in it.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery"
	key := []byte("0123456789abcdefghijklmnopqrstuv")
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Password: password}) // never answers
	defer rdb.Close()
	cfg := configured("printed", func(c *manager.Config) {
		c.TokenKeys, c.EncryptionKeys = [][]byte{key}, [][]byte{key}
	})
	m := open(t, rdb, cfg)
	numbers := make([]int, len(key))
	for i, b := range key {
		numbers[i] = int(b)
	}
	raw := strings.Trim(fmt.Sprint(numbers), "[]")
	secrets := []string{
		string(key), raw, strings.ReplaceAll(raw, " ", ", "), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		strings.Trim(fmt.Sprintf("%#v", key), "[]byte{}"), base64.StdEncoding.EncodeToString(key), password,
	}
	check := func(how, text string) {
		t.Helper()
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s shows a secret: %s", how, text)
			}
		}
		if !strings.Contains(text, "printed") {
			t.Errorf("%s does not tell which one it is: %s", how, text)
		}
	}
	for what, v := range map[string]any{"Manager": m, "Config": *cfg, "*Config": cfg, "a list": []any{m, *cfg}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			check(what+" "+verb, fmt.Sprintf(verb, v))
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s as JSON: %v", what, err)
		}
		check(what+" as JSON", string(data))
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("json", "v", v)
		check(what+" in a log", buf.String())
	}
	app := struct {
		name string
		m    *manager.Manager
	}{"printed", m} // fmt asks no method of what is in an unexported field
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		check("a field, "+verb, "printed "+fmt.Sprintf(verb, app)+fmt.Sprintf(verb, &app))
	}
	var none *manager.Manager
	_ = fmt.Sprint(none)
}

// Some verbs go through every pointer of a struct without methods, and a Session holds the client's token.
func TestSessionPrintsNoToken(t *testing.T) {
	bubble(t, func(t *testing.T, v *virtual) {
		m := v.manager(signed(1))
		_, token := visit(m, m.Handler, "", func(s *manager.Session) { name.Set(s, "a private value") })
		visit(m, m.Handler, token, func(s *manager.Session) {
			child, err := s.Child("child")
			if err != nil {
				t.Fatal(err)
			}
			name.Set(s, "a private value")
			for _, shown := range []*manager.Session{s, child, nil} {
				var text strings.Builder
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
					fmt.Fprintf(&text, verb, shown)
				}
				data, err := json.Marshal(shown)
				if err != nil {
					t.Error(err)
				}
				for _, secret := range append(strings.Split(token, ".")[1:], "a private value") {
					if strings.Contains(text.String()+string(data), secret) {
						t.Errorf("it shows %q: %s", secret, text.String())
					}
				}
				if shown != nil && !strings.Contains(text.String(), idOf(token)) {
					t.Errorf("it does not tell which one it is: %s", text.String())
				}
			}
		})
	})
}
