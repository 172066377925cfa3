package manager

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// A Manager or a Config that ends up in a log line, an error or a page of debug output shows no key: whatever prints it
// gets the few settings that tell one from another. The keys are counted only. A Config in an unexported field of another
// struct is beyond that, since package fmt prints it without its methods.

// settings are what is shown of a Config.
func (c Config) settings() []slog.Attr {
	return []slog.Attr{
		slog.String("Prefix", c.Prefix),
		slog.Duration("Lifetime", c.Lifetime),
		slog.Duration("IdleTimeout", c.IdleTimeout),
		slog.Duration("LockTTL", c.LockTTL),
		slog.Duration("LockWait", c.LockWait),
		slog.Duration("MaxHold", c.MaxHold),
		slog.Duration("Timeout", c.Timeout),
		slog.Int("TokenKeys", len(c.TokenKeys)),
		slog.Int("EncryptionKeys", len(c.EncryptionKeys)),
	}
}

// String shows some settings and none of the keys.
func (c Config) String() string { return fmt.Sprintf("manager.Config%v", c.settings()) }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// Format prints String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue shows what String does, as a group.
func (c Config) LogValue() slog.Value { return slog.GroupValue(c.settings()...) }

// MarshalJSON shows what String does, as an object.
func (c Config) MarshalJSON() ([]byte, error) { return object(c.settings()) }

// printed is what is shown of a Manager: its node and its settings.
func (m *Manager) printed() []slog.Attr {
	if m == nil {
		return nil
	}
	return append([]slog.Attr{slog.String("Node", m.node)}, m.cfg.settings()...)
}

// String names the node and shows some settings, none of the keys and nothing of the Redis client.
func (m *Manager) String() string { return fmt.Sprintf("manager.Manager%v", m.printed()) }

// GoString is String, for %#v.
func (m *Manager) GoString() string { return m.String() }

// Format prints String, whatever the verb.
func (m *Manager) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(m.String())) }

// LogValue shows what String does, as a group.
func (m *Manager) LogValue() slog.Value { return slog.GroupValue(m.printed()...) }

// MarshalJSON shows what String does, as an object.
func (m *Manager) MarshalJSON() ([]byte, error) { return object(m.printed()) }

// printed is what is shown of a Session: the ID that the client's token names. It needs no lock, so a Session may be printed
// from anywhere.
func (s *Session) printed() []slog.Attr {
	if s == nil || s.request == nil {
		return nil
	}
	return []slog.Attr{slog.String("ID", s.token.id), slog.String("Mode", s.as.String())}
}

// String shows the ID of the session that the client's token names, which is empty for a new one, and the mode. It shows no
// token and no value.
func (s *Session) String() string { return fmt.Sprintf("manager.Session%v", s.printed()) }

// GoString is String, for %#v.
func (s *Session) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue shows what String does, as a group.
func (s *Session) LogValue() slog.Value { return slog.GroupValue(s.printed()...) }

// MarshalJSON shows what String does, as an object.
func (s *Session) MarshalJSON() ([]byte, error) { return object(s.printed()) }

// object is the attributes as a JSON object, with durations as text.
func object(attrs []slog.Attr) ([]byte, error) {
	out := make(map[string]any, len(attrs))
	for _, a := range attrs {
		out[a.Key] = a.Value.Any()
		if a.Value.Kind() == slog.KindDuration {
			out[a.Key] = a.Value.Duration().String()
		}
	}
	return json.Marshal(out)
}
