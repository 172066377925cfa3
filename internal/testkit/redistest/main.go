package redistest

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/internal/testkit/need"
)

// Main runs the tests of a package, ends the shared server, tells how many tests were skipped for lack of a program,
// checks that no goroutine was left behind, and exits. ignore names goroutines that are allowed to stay. A TestMain
// consists of a call to it; m is its *testing.M.
func Main(m interface{ Run() int }, ignore ...goleak.Option) {
	os.Exit(run(m, ignore...))
}

// runMoreAtOnce has twice as many tests run in parallel as there are processors, unless the flag says how many: most of them
// wait for a server, a lock or a timer.
func runMoreAtOnce() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))) // never fails for a positive number
	}
}

func run(m interface{ Run() int }, ignore ...goleak.Option) int {
	runMoreAtOnce()
	code := m.Run()
	stopShared()
	need.Tell()
	for _, line := range tally.lines(current()) {
		fmt.Fprintln(os.Stdout, line) // shown with -v
	}
	if code != 0 {
		return code // a test that failed half-way may well have left something behind
	}
	ignore = append(ignore,
		goleak.IgnoreTopFunction("github.com/holdfast-go/holdfast/internal/testkit/redistest.launcher"),
		// After many failed dials go-redis probes once a second, and sees only then that its client was closed.
		goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"),
	)
	if err := goleak.Find(ignore...); err != nil {
		fmt.Fprintf(os.Stderr, "goroutines left behind by the tests:\n%v\n", err)
		return 1
	}
	return 0
}
