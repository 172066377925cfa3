package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// layout reads what miniredis knows and does not export: the state of a connection, the scripts it has loaded and how
// many keys it holds. It changes nothing. A version of miniredis that keeps them elsewhere has no layout, and the
// server then runs as miniredis made it.
type layout struct {
	// Fields of the connection's state, which is server.Peer.Ctx.
	nested, transaction, subscriber, selectedDB []int
	// Fields of Miniredis, and of one of its databases.
	scripts, dbs, keys []int

	// inside is the connection state of a command that a script calls: such a command runs under the lock that its
	// script holds. It is of type *connCtx, and only copies of it are used.
	inside reflect.Value
}

// fitter puts engines in front of servers.
type fitter struct {
	inspect func() (*layout, error)
	warned  sync.Once
}

// standard inspects the miniredis that is linked in, once in a process: it is the same for all servers, and nothing in
// the layout belongs to one of them.
var standard = fitter{inspect: sync.OnceValues(inspect)}

// fit makes a miniredis that has been started ready for use: with an engine, or as it is.
func (f *fitter) fit(mini *miniredis.Miniredis) {
	l, err := f.inspect()
	if err != nil {
		f.warned.Do(func() {
			slog.Warn("holdfast: embedded Redis runs without its script engine; scripts are many times slower", "reason", err)
		})
		mini.ClockTTL(true) // without it keys would expire only on command
		return
	}
	attach(mini, l)
}

func inspect() (*layout, error) {
	l := &layout{}
	if err := l.find(); err != nil {
		return nil, fmt.Errorf("this version of miniredis is built differently: %w", err)
	}
	return l, nil
}

const (
	probeCommand = "HOLDFAST.PROBE"
	probeScript  = "return redis.call('" + probeCommand + "')"
)

// probeSHA is in the errors of commands that no script may call, where that of the script should be.
var probeSHA = sha1Hex(probeScript)

// find fills in the layout from a server of its own.
func (l *layout) find() error {
	mini := miniredis.NewMiniRedis()
	defer mini.Close()
	conn, err := mini.Dial() // makes the server without a listener
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()

	var inner any
	mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		if cmd != probeCommand {
			return false
		}
		inner = c.Ctx
		c.WriteOK()
		return true
	})
	peer := server.NewPeer(bufio.NewWriter(io.Discard))
	mini.Server().Dispatch(peer, []string{"EVAL", probeScript, "0"})
	if inner == nil {
		return errors.New("a script's command does not reach the hook")
	}
	if err := l.locate(reflect.TypeFor[*miniredis.Miniredis](), reflect.TypeOf(peer.Ctx)); err != nil {
		return err
	}
	if reflect.TypeOf(inner) != reflect.TypeOf(peer.Ctx) || !l.isNested(inner) || l.isNested(peer.Ctx) {
		return errors.New("a script's command is not distinguished from a client's")
	}
	if text, ok := l.script(mini, probeSHA); !ok || text != probeScript {
		return errors.New("a script that ran is not kept under its SHA-1")
	}
	l.inside = reflect.ValueOf(inner)
	return checkPlain()
}

// locate looks up the fields by name and checks their types.
func (l *layout) locate(mini, ctx reflect.Type) error {
	var errs []error
	field := func(t reflect.Type, name string, is func(reflect.Type) bool) ([]int, reflect.Type) {
		if t != nil && t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t == nil || t.Kind() != reflect.Struct {
			errs = append(errs, fmt.Errorf("%v, which should have %s, is not a struct", t, name))
			return nil, nil
		}
		f, ok := t.FieldByName(name)
		if !ok || !is(f.Type) {
			errs = append(errs, fmt.Errorf("%v has no %s of the expected type", t, name))
			return nil, nil
		}
		return f.Index, f.Type
	}
	kind := func(k reflect.Kind) func(reflect.Type) bool {
		return func(t reflect.Type) bool { return t.Kind() == k }
	}
	mapOf := func(key, value reflect.Kind) func(reflect.Type) bool {
		return func(t reflect.Type) bool {
			return t.Kind() == reflect.Map && t.Key().Kind() == key && t.Elem().Kind() == value
		}
	}
	l.nested, _ = field(ctx, "nested", kind(reflect.Bool))
	l.transaction, _ = field(ctx, "transaction", kind(reflect.Slice))
	l.subscriber, _ = field(ctx, "subscriber", kind(reflect.Pointer))
	l.selectedDB, _ = field(ctx, "selectedDB", kind(reflect.Int))
	l.scripts, _ = field(mini, "scripts", mapOf(reflect.String, reflect.String))
	var dbs reflect.Type
	if l.dbs, dbs = field(mini, "dbs", mapOf(reflect.Int, reflect.Pointer)); dbs != nil {
		l.keys, _ = field(dbs.Elem(), "keys", kind(reflect.Map))
	}
	return errors.Join(errs...)
}

// isNested reports whether the command of this connection was called by a script, which holds the lock.
func (l *layout) isNested(ctx any) bool {
	return ctx != nil && field(ctx, l.nested).Bool()
}

// isPlain reports whether a connection is in no transaction and has no subscription.
func (l *layout) isPlain(ctx any) bool {
	return ctx == nil || field(ctx, l.transaction).IsNil() && field(ctx, l.subscriber).IsNil()
}

// database returns the number of the database that a connection has selected.
func (l *layout) database(ctx any) int {
	if ctx == nil {
		return 0
	}
	return int(field(ctx, l.selectedDB).Int())
}

// script returns the text of a script that was loaded or has run. Its caller holds the lock of mini.
func (l *layout) script(mini *miniredis.Miniredis, sha string) (text string, ok bool) {
	v := field(mini, l.scripts).MapIndex(reflect.ValueOf(sha))
	if !v.IsValid() {
		return "", false
	}
	return v.String(), true
}

// size returns the number of keys in all databases. Its caller holds the lock of mini.
func (l *layout) size(mini *miniredis.Miniredis) int {
	n := 0
	for dbs := field(mini, l.dbs).MapRange(); dbs.Next(); {
		n += dbs.Value().Elem().FieldByIndex(l.keys).Len()
	}
	return n
}

func field(pointer any, index []int) reflect.Value {
	return reflect.ValueOf(pointer).Elem().FieldByIndex(index)
}
