package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/report"
	"github.com/holdfast-go/holdfast/bench/scenario"
	"github.com/holdfast-go/holdfast/bench/subject"
)

// options are the command line.
type options struct {
	choice    scenario.Choice
	redis     string
	own       bool // the embedded Redis
	plain     bool // it without its script engine
	aof       bool
	rtt       time.Duration
	rounds    int
	time      time.Duration
	pool      int
	json      string
	html      string
	md        string
	profile   string
	goalsFile string
	goals     []report.Goal
}

const (
	fullTime    = 10 * time.Minute
	quickTime   = 60 * time.Second
	fullRounds  = 5
	quickRounds = 3
)

func parse(args []string) (options, error) {
	var o options
	flags := o.flags()
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q: all options begin with a dash", flags.Arg(0))
	}
	o.setDefaults()
	if err := o.check(); err != nil {
		return o, err
	}
	return o, o.readGoals()
}

// flags is the command line, which it parses into o.
func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.choice.Quick, "quick", false, "fewer sizes and shorter slices, done in a minute instead of ten")
	flags.Func("scenario", "run only these `names`, separated by commas: "+strings.Join(scenario.Names, ", "), names(&o.choice.Scenarios))
	flags.Func("subject", "run only these `names`, separated by commas: "+subjectNames(), names(&o.choice.Subjects))
	flags.StringVar(&o.redis, "redis", "", "use the Redis at this `address` instead of starting one")
	flags.BoolFunc("embedded", "use the Redis inside this process, as also where no redis-server is on PATH; with =plain, miniredis without the script engine of package embedded", func(value string) (err error) {
		if o.plain = value == "plain"; o.plain {
			value = "true"
		}
		o.own, err = strconv.ParseBool(value)
		return err
	})
	flags.BoolVar(&o.aof, "aof", false, "let the private Redis write an append-only file, synced every second")
	flags.DurationVar(&o.rtt, "rtt", 0, "add this much to every round trip, with a proxy before Redis")
	flags.IntVar(&o.rounds, "rounds", 0, "rounds of each configuration (default 5, with -quick 3)")
	flags.DurationVar(&o.time, "time", 0, "fit the run into about this time (default 10m, with -quick 1m)")
	flags.IntVar(&o.pool, "pool", 0, "connections per client (default go-redis' own, ten per CPU)")
	flags.StringVar(&o.json, "json", "", "write the results to this `file` as JSON")
	flags.StringVar(&o.html, "html", "", "write the results to this `file` as a page with charts")
	flags.StringVar(&o.md, "markdown", "", "write the results to this `file` as Markdown, between its marks if it has any")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the client to this `file`")
	flags.StringVar(&o.goalsFile, "goals", "", "compare the results with the goals in this `file`, and fail where one is missed")
	return flags
}

// setDefaults sets what depends on whether the run is a quick one.
func (o *options) setDefaults() {
	rounds, limit := fullRounds, fullTime
	if o.choice.Quick {
		rounds, limit = quickRounds, quickTime
	}
	o.rounds, o.time = cmp.Or(o.rounds, rounds), cmp.Or(o.time, limit)
}

func (o *options) check() error {
	switch {
	case o.rounds < 1:
		return errors.New("-rounds must be at least 1")
	case o.time < 0:
		return errors.New("-time must not be negative")
	case o.rtt < 0:
		return errors.New("-rtt must not be negative")
	case o.pool < 0:
		return errors.New("-pool must not be negative")
	case o.aof && o.redis != "":
		return errors.New("-aof is for the private Redis; the one at -redis is configured elsewhere")
	case o.own && (o.aof || o.redis != ""):
		return errors.New("-embedded chooses the Redis inside this process; leave out -redis and -aof")
	}
	return nil
}

func (o *options) readGoals() error {
	if o.goalsFile == "" {
		return nil
	}
	text, err := os.ReadFile(o.goalsFile) //nolint:gosec // named on the command line
	if err != nil {
		return fmt.Errorf("read goals: %w", err)
	}
	o.goals, err = report.ReadGoals(text)
	return err
}

// names returns the function of a flag that takes a list of names. It stores the list in into.
func names(into *[]string) func(string) error {
	return func(list string) error {
		*into = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	}
}

func subjectNames() string {
	var list []string
	for _, s := range subject.All() {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}

// publish writes the results wherever they are wanted.
func (o options) publish(results *report.Run) error {
	if err := report.Table(os.Stdout, results); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, out := range []struct {
		name  string
		write func(io.Writer, *report.Run) error
	}{{o.json, report.JSON}, {o.html, report.HTML}, {o.md, markdown(o.md)}} {
		if out.name == "" {
			continue
		}
		if err := writeFile(out.name, results, out.write); err != nil {
			return err
		}
	}
	return nil
}

// markdown returns what writes the results into a document that has a place for
// them, or else makes the document.
func markdown(name string) func(io.Writer, *report.Run) error {
	document, err := os.ReadFile(name) //nolint:gosec // named on the command line
	if err != nil {
		return report.Markdown // an error will be reported when it is written
	}
	return func(w io.Writer, results *report.Run) error {
		var text bytes.Buffer
		if err := report.Markdown(&text, results); err != nil {
			return err
		}
		if spliced, ok := report.Splice(document, text.Bytes(), results); ok {
			text = *bytes.NewBuffer(spliced)
		}
		_, err := text.WriteTo(w)
		return err
	}
}

// judge prints how the results compare with the goals, and fails where one is missed, or none was measured.
func (o options) judge(results *report.Run) error {
	if o.goals == nil {
		return nil
	}
	list, err := report.Judge(results, o.goals)
	if err != nil {
		return err
	}
	met, missed, err := report.Goals(os.Stdout, list)
	switch {
	case err != nil:
		return fmt.Errorf("write goals: %w", err)
	case missed > 0:
		return fmt.Errorf("%d goals met, %d missed, %d not run", met, missed, len(list)-met-missed)
	case met == 0:
		return errors.New("the run has no rows that any goal is about")
	}
	return nil
}

func writeFile(name string, results *report.Run, write func(io.Writer, *report.Run) error) error {
	file, err := os.Create(name) //nolint:gosec // named on the command line
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return errors.Join(write(file, results), file.Close())
}
