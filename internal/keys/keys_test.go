package keys_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/internal/keys"
)

// hashTag is what decides about a key's slot: the Redis Cluster specification, "Hash tags".
func hashTag(key string) string {
	_, rest, ok := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(rest, "}"); ok && closed && tag != "" {
		return tag
	}
	return key
}

var ids = []string{"", "a", "kX3-_9", "invoice 42", "{a}", "}", "{", "{}", "a}b{c", "%", "%7B", "%25", "ü\x00\xff", ":lock", "a:queue"}

func TestKeysOfAnIDShareASlot(t *testing.T) {
	t.Parallel()
	for _, id := range ids {
		k := keys.In("app").Of(id)
		tag := hashTag(k.Record)
		if tag == k.Record || hashTag(k.Lock) != tag || hashTag(k.Queue) != tag {
			t.Errorf("%q: the tags of %q, %q and %q differ", id, k.Record, k.Lock, k.Queue)
		}
	}
}

func TestKeysAreDistinct(t *testing.T) {
	t.Parallel()
	of := map[string]string{}
	for _, id := range ids {
		k := keys.In("app").Of(id)
		for _, key := range []string{k.Record, k.Lock, k.Queue} {
			if other, taken := of[key]; taken {
				t.Errorf("%q and %q share the key %q", id, other, key)
			}
			of[key] = id
		}
	}
}

func TestRecordID(t *testing.T) {
	t.Parallel()
	space := keys.In("app")
	for _, id := range []string{"a", "kX3-_9", "AAAAAAAAAAAAAAAAAAAAAA"} { // session IDs are base64url
		k := space.Of(id)
		if got, ok := space.RecordID(k.Record); !ok || got != id {
			t.Errorf("%q: got %q, %v", k.Record, got, ok)
		}
		for _, key := range []string{k.Lock, k.Queue, space.User(id), space.Node(id), space.Nodes(), keys.In("other").Of(id).Record, "", id} {
			if got, ok := space.RecordID(key); ok {
				t.Errorf("%q passed for the record of %q", key, got)
			}
		}
	}
}

func TestLockID(t *testing.T) {
	t.Parallel()
	space := keys.In("app")
	for _, id := range ids {
		k := space.Of(id)
		for _, key := range []string{k.Lock, k.Queue} {
			if got, ok := space.LockID(key); !ok || got != id {
				t.Errorf("%q: got %q, %v, want %q", key, got, ok, id)
			}
		}
		for _, key := range []string{k.Record, space.Node("lock"), space.User("lock"), "other" + k.Lock} {
			if got, ok := space.LockID(key); ok && key != k.Record {
				t.Errorf("%q passed for the lock of %q", key, got)
			}
		}
	}
}

func TestLockTokensContainTheirTime(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	node, drawn := keys.ParseLockToken(keys.NewLockToken("node"))
	if node != "node" || drawn.Before(before) || drawn.After(time.Now()) {
		t.Errorf("got %q at %v", node, drawn)
	}
	for _, token := range []string{"node.abcdefghijklmnop", "node.", "node", "node.!", "node." + keys.Random(256)} {
		if node, drawn := keys.ParseLockToken(token); node != "node" || !drawn.IsZero() {
			t.Errorf("%q: got %q at %v", token, node, drawn)
		}
	}
}

func TestNodeOf(t *testing.T) {
	t.Parallel()
	space := keys.In("app")
	if node, ok := space.NodeOf(space.Node("n")); !ok || node != "n" {
		t.Errorf("got %q, %v", node, ok)
	}
	if _, ok := space.NodeOf(space.Nodes()); ok {
		t.Error("the channel of all nodes passed for one node's")
	}
}

func TestRecordPatternIsLiteral(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"":       `holdfast:{*}`,
		"app":    `app:{*}`,
		`a*?[]\`: `a\*\?\[\]\\:{*}`,
	} {
		if got := keys.In(prefix).RecordPattern(); got != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}

func TestUsersAreNotReadable(t *testing.T) {
	t.Parallel()
	space := keys.In("app")
	alice, bob := space.User("alice@example.org"), space.User("bob@example.org")
	if alice == bob || strings.Contains(alice, "alice") {
		t.Errorf("got %q and %q", alice, bob)
	}
	if alice != space.User("alice@example.org") {
		t.Error("it changes")
	}
}

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	node := keys.NewNode()
	if len(node) != keys.NodeLen || node == keys.NewNode() {
		t.Errorf("got %q", node)
	}
	token := keys.NewLockToken(node)
	// queue.lua takes the node from the token like this, and Redis' lists must not confuse two tokens.
	if got, _, ok := strings.Cut(token, "."); !ok || got != node || token == keys.NewLockToken(node) {
		t.Errorf("got %q of %q", token, node)
	}
	if keys.In("app").Node(node) != keys.In("app").NodePrefix()+node {
		t.Error("a script would publish to another channel")
	}
}
