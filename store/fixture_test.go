package store_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/embedded"
	"github.com/holdfast-go/holdfast/internal/keys"
	"github.com/holdfast-go/holdfast/internal/queue"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/store"
)

func TestMain(m *testing.M) { redistest.Main(m) }

// The settings of all stores in these tests. They differ from each other, so that none can stand in for another.
const (
	lockTTL  = 20 * time.Second
	grantTTL = 8 * time.Second
	grace    = 30 * time.Second
	mark     = time.Minute // how long the mark of a removal stays
)

// env is one node: a store, and its client to look behind the store's back.
type env struct {
	*store.Store
	rdb    redis.UniversalClient
	prefix string
	node   string
	space  keys.Space
	real   bool // a redis-server, on the real clock
}

// Open is Store.Open of a node that keeps a copy, and is notified of changes.
func (e *env) Open(ctx context.Context, q store.Query) (*store.Opened, error) {
	q.Register = e.node != ""
	return e.Store.Open(ctx, q)
}

// Commit is Store.Commit of a node that keeps a copy, and is notified of changes.
func (e *env) Commit(ctx context.Context, c *store.Commit) (*store.Committed, error) {
	c.Register = e.node != ""
	return e.Store.Commit(ctx, c)
}

func newEnv(tb testing.TB, rdb redis.UniversalClient, prefix string) *env {
	tb.Helper()
	e := &env{rdb: rdb, prefix: prefix, node: keys.NewNode(), space: keys.In(prefix)}
	e.Store = newStore(tb, rdb, prefix, e.node)
	return e
}

func newStore(tb testing.TB, rdb redis.UniversalClient, prefix, node string) *store.Store {
	tb.Helper()
	s, err := store.New(rdb, store.Config{
		Prefix: prefix, Node: node, LockTTL: lockTTL, GrantTTL: grantTTL, Grace: grace,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// other is another node on the same server.
func (e *env) other(tb testing.TB) *env {
	tb.Helper()
	return newEnv(tb, e.rdb, e.prefix)
}

// each runs a test on every Redis that there is.
func each(t *testing.T, fn func(t *testing.T, e *env)) {
	t.Helper()
	redistest.Each(t, func(t *testing.T, b redistest.Backend) {
		t.Parallel()
		e := newEnv(t, b.Client(t), b.Prefix)
		e.real = b.Real
		fn(t, e)
	})
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, fn func(t *testing.T, e *env)) {
	t.Helper()
	redistest.Bubble(t, func(t *testing.T, srv *embedded.Server) { fn(t, newEnv(t, srv.Client(), "bubble")) })
}

// values makes what a commit sets of pairs of key and data.
func values(pairs ...string) map[string]store.Write {
	set := map[string]store.Write{}
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i]] = store.Write{Data: pairs[i+1]}
	}
	return set
}

// creation is a commit that creates a session with the secret "first".
func creation(pairs ...string) *store.Commit {
	return &store.Commit{ID: keys.Random(128), Mode: store.Create, Hash: "first", Lifetime: new(time.Hour), Set: values(pairs...)}
}

// create creates a session.
func (e *env) create(t testing.TB, pairs ...string) *store.Record {
	t.Helper()
	return e.commit(t, creation(pairs...))
}

// commit makes a commit that must succeed, and returns what was written.
func (e *env) commit(t testing.TB, c *store.Commit) *store.Record {
	t.Helper()
	out, err := e.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return out.Record
}

// change is a commit that sets values under Whole.
func change(base *store.Record, pairs ...string) *store.Commit {
	return &store.Commit{ID: base.ID, Mode: store.Whole, Base: base, Set: values(pairs...)}
}

// optimistic is a commit that sets values under Keys and checks them, and those of reads.
func optimistic(base *store.Record, reads []string, pairs ...string) *store.Commit {
	c := &store.Commit{ID: base.ID, Mode: store.Keys, Base: base, Set: values(pairs...), Checks: map[string]string{}}
	for _, key := range slices.AppendSeq(slices.Clone(reads), maps.Keys(c.Set)) {
		c.Checks[key] = base.Values.At(key).Stamp
	}
	return c
}

// rotation is a commit that replaces the secret.
func rotation(base *store.Record, rule store.Rule, hash string, old time.Duration) *store.Commit {
	return &store.Commit{ID: base.ID, Mode: store.Whole, Base: base, Rotate: rule, Hash: hash, Old: old}
}

// open opens a session by its ID, in full, and leaves no trace of that in the directory of copies.
func (e *env) open(t testing.TB, id string) *store.Record {
	t.Helper()
	o, err := newStore(t, e.rdb, e.prefix, "").Open(t.Context(), store.Query{ID: id})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return o.Record
}

// want checks what the session holds, in full.
func (e *env) want(t testing.TB, id string, pairs ...string) {
	t.Helper()
	wantValues(t, e.open(t, id), pairs...)
}

func wantValues(t testing.TB, rec *store.Record, pairs ...string) {
	t.Helper()
	want := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		want[pairs[i]] = pairs[i+1]
	}
	if got := data(rec); !reflect.DeepEqual(got, want) {
		t.Errorf("the session holds %v, want %v", got, want)
	}
}

func data(rec *store.Record) map[string]string {
	m := map[string]string{}
	for key, v := range rec.Values.All() {
		m[key] = v.Data
	}
	return m
}

// wantErr checks an outcome of Commit or Open.
func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error %v, want %v", got, want)
	}
}

// hash is the record as Redis has it.
func (e *env) hash(t testing.TB, id string) map[string]string {
	t.Helper()
	m, err := e.rdb.HGetAll(t.Context(), e.space.Of(id).Record).Result()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// field is one field of the record, or "".
func (e *env) field(t testing.TB, id, name string) string { t.Helper(); return e.hash(t, id)[name] }

// wantRemoved fails the test if the session is still there.
func (e *env) wantRemoved(t testing.TB, id string) {
	t.Helper()
	if v := e.field(t, id, "v"); v != "" {
		t.Errorf("version %q of a removed session", v)
	}
}

// exists reports whether there is anything at all under the record's key.
func (e *env) exists(t testing.TB, id string) bool {
	t.Helper()
	n, err := e.rdb.Exists(t.Context(), e.space.Of(id).Record).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// hold gives the lock of a session to a token.
func (e *env) hold(t testing.TB, id, token string, ttl time.Duration) {
	t.Helper()
	if err := e.rdb.Set(t.Context(), e.space.Of(id).Lock, token, ttl).Err(); err != nil {
		t.Fatal(err)
	}
}

// enqueue lets tokens wait for the lock of a session.
func (e *env) enqueue(t testing.TB, id string, tokens ...any) {
	t.Helper()
	if err := e.rdb.RPush(t.Context(), e.space.Of(id).Queue, tokens...).Err(); err != nil {
		t.Fatal(err)
	}
}

// holder is the token that has the lock, "" for none, and how long still.
func (e *env) holder(t testing.TB, id string) (string, time.Duration) {
	t.Helper()
	token, err := e.rdb.Get(t.Context(), e.space.Of(id).Lock).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	ttl, err := e.rdb.PTTL(t.Context(), e.space.Of(id).Lock).Result()
	if err != nil {
		t.Fatal(err)
	}
	return token, ttl
}

func (e *env) wantHolder(t testing.TB, id, want string) {
	t.Helper()
	if got, _ := e.holder(t, id); got != want {
		t.Errorf("the lock is held by %q, want %q", got, want)
	}
}

// waiting lists the tokens in the queue.
func (e *env) waiting(t testing.TB, id string) []string {
	t.Helper()
	tokens, err := e.rdb.LRange(t.Context(), e.space.Of(id).Queue, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// asking are the settings of a locker.
func (e *env) asking() *queue.Settings {
	return &queue.Settings{NodePrefix: e.space.NodePrefix(), MaxWaiters: 2, Life: time.Minute, Grant: grantTTL, TTL: lockTTL}
}

// openForLock runs the open script for a lock token, as a locker does.
func (e *env) openForLock(t testing.TB, q store.Query, token string) (*store.OpenRequest, queue.Status, error) {
	t.Helper()
	r := e.OpenRequest(q)
	step := r.Step(queue.Ask{Token: token, Settings: e.asking()})
	reply, err := redis.NewScript(step.Script.Source()).Run(t.Context(), e.rdb, step.Keys, step.Args...).Result()
	at, err := r.Answer(reply, err)
	return r, at, err
}

// messages subscribes to every channel of the test. What it returns tells what was published since it was asked last,
// as "channel message" without the prefix, sorted.
func (e *env) messages(t testing.TB) func() []string {
	t.Helper()
	ctx := t.Context()
	sub := e.rdb.PSubscribe(ctx, e.prefix+":*")
	t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	return func() []string {
		t.Helper()
		// What the masters of a cluster publish comes on a link each, and only there in order.
		end, missing := e.prefix+":end", 0
		for _, master := range redistest.Masters(t, e.rdb) {
			if err := master.Publish(ctx, end, "").Err(); err != nil {
				t.Fatal(err)
			}
			missing++
		}
		var got []string
		for missing > 0 {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Channel == end {
				missing--
				continue
			}
			got = append(got, m.Channel[len(e.prefix)+1:]+" "+m.Payload)
		}
		slices.Sort(got)
		return got
	}
}

func wantMessages(t testing.TB, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
}
