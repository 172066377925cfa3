package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
	"github.com/holdfast-go/holdfast/internal/testkit/redistest"
	"github.com/holdfast-go/holdfast/internal/testkit/wait"
)

// readmeProgram builds the program of the README once, as a reader does: in a module that has nothing else. Only the
// address is another, since the README's may be in use.
var readmeProgram = sync.OnceValues(func() (path string, err error) {
	if _, err := program(); err != nil { // it makes the folder
		return "", err
	}
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return "", err
	}
	code := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindStringSubmatch(string(text))
	const address = `"localhost:8080"`
	if code == nil || strings.Count(code[1], address) != 1 {
		return "", fmt.Errorf("the README has no program that listens on %s", address)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(folder, "readme")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	const module = "github.com/holdfast-go/holdfast"
	for name, content := range map[string]string{
		"main.go": strings.Replace(code[1], address, `os.Getenv("LISTEN")`, 1),
		"go.mod":  "module example.org/shop\n\ngo 1.26\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + root + "\n",
		"go.sum":  string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return "", err
		}
	}
	path = filepath.Join(dir, "shop")
	build := exec.Command("go", "build", "-mod=mod", "-o", path, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program of the README: %w\n%s", err, out)
	}
	return path, nil
})

// startReadme runs the program and returns its address.
func startReadme(t *testing.T, redis string) string {
	t.Helper()
	need.Program(t, "chromium")
	path, err := readmeProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "LISTEN="+unused(t), "REDIS_ADDR="+redis)
	site := launch(t, cmd)
	wait.Until(t, "the program answers", func() bool { // it prints its address before it listens
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(site, "http://"))
		return err == nil && conn.Close() == nil
	})
	return site
}

// unused returns an address that nothing listens on. Its port is below those that systems and other tests take.
func unused(t *testing.T) string {
	t.Helper()
	for {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("localhost:%d", 8100+rand.IntN(1800)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
}

// leaves runs a script that loads another page, and waits until that page is there. The browser may bring back an earlier
// page from its history, so each page that is left is marked with a number of its own.
func (b *tab) leaves(do string) {
	b.t.Helper()
	n := rand.Int64N(1 << 50)
	eval[bool](b, `(() => { window.left = %d; setTimeout(() => { %s }); return true; })()`, n, do)
	b.arrives("another page after "+do, fmt.Sprintf(`window.left !== %d && location.pathname === '/' && document.readyState === 'complete'`, n))
}

// clicks clicks a button, and checks what the page then shows.
func (b *tab) clicks(button, user, cart string) {
	b.t.Helper()
	b.leaves(clicking(button))
	b.showsCart("after "+button, user, cart)
}

func (b *tab) showsCart(when, user, cart string) {
	b.t.Helper()
	if got, want := b.text("p"), fmt.Sprintf("User %s, cart %s", user, cart); got != want {
		b.t.Errorf("%s: the page shows %q, want %q", when, got, want)
	}
}

func clicking(button string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('button')].find((b) => b.textContent === %q).click()`, button)
}

// Every button of the README's program does what it says: also on a page that was reloaded, to which the user went back,
// or that shows what another tab has changed.
func TestReadme(t *testing.T) {
	t.Parallel()
	for name, addr := range map[string]func(*testing.T) string{
		"embedded": func(*testing.T) string { return "" },
		"redis":    func(t *testing.T) string { return redistest.Shared(t).Addr(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := browserOf(t, startReadme(t, addr(t)), desktop)
			one.showsCart("at first", "guest", "[]")
			one.clicks("Log out", "guest", "[]")
			one.clicks("Add tea", "guest", "[tea]")
			one.clicks("Add tea", "guest", "[tea tea]")
			one.clicks("Log in", "42", "[tea tea]")
			one.leaves("location.reload()")
			one.showsCart("reloaded", "42", "[tea tea]")
			one.leaves("history.back()")
			one.clicks("Add tea", "42", "[tea tea tea]")

			two := one.another()
			two.showsCart("a second tab", "42", "[tea tea tea]")
			two.clicks("Log out", "guest", "[]")
			one.clicks("Add tea", "guest", "[tea]")
			one.leaves("history.back()")
			one.clicks("Log in", "42", "[tea]")
			two.clicks("Add tea", "42", "[tea tea]")
			for _, b := range []*tab{one, two} { // at once
				eval[bool](b, `(() => { window.left = -1; %s; return true; })()`, clicking("Add tea"))
			}
			for _, b := range []*tab{one, two} {
				b.arrives("the home page", `window.left !== -1 && location.pathname === '/' && document.readyState === 'complete'`)
			}
			two.leaves("location.reload()")
			two.showsCart("after two clicks at once", "42", "[tea tea tea tea]")
			one.clicks("Log out", "guest", "[]")
			two.clicks("Log out", "guest", "[]")
			one.peace(true) // a browser asks for an icon, which the program does not have
		})
	}
}
