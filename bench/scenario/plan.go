package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/bench/subject"
)

const (
	small  = 400
	medium = 8_000
	large  = 64_000

	workers         = 16
	sessions        = 256 // the most workers there are, so that each has its own
	mixedSessions   = 10_000
	mixedNodes      = 4
	burstyWorkers   = 4   // each with ten requests at once
	replicaSessions = 512 // twice the most nodes
	replicaPool     = 4   // connections of one of many nodes
	cachedSessions  = 100_000
	cachedQuick     = 25_000
)

// Names are the scenarios, in the order they run.
var Names = []string{"rmw", "read", "mixed", "bursty", "contended", "replicas", "removals", "http", "memory"}

// Choice narrows a plan down.
type Choice struct {
	Quick     bool
	Scenarios []string // empty means all
	Subjects  []string // empty means all
}

// Plan returns the configurations to run. It fails on a name that is not known.
func Plan(choice Choice, all []subject.Subject) ([]Config, error) {
	var known []string
	for _, s := range all {
		known = append(known, s.Name)
	}
	if err := check("scenario", choice.Scenarios, Names); err != nil {
		return nil, err
	}
	if err := check("subject", choice.Subjects, known); err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(s subject.Subject) bool {
		return len(choice.Subjects) > 0 && !slices.Contains(choice.Subjects, s.Name)
	})
	var plan []Config
	for _, name := range Names {
		if len(choice.Scenarios) > 0 && !slices.Contains(choice.Scenarios, name) {
			continue
		}
		for _, cfg := range sizes(name, choice.Quick) {
			cfg.Scenario = name
			cfg.Length = max(cfg.Length, 1)
			cfg.Contenders = slices.DeleteFunc(contenders(cfg, chosen), func(c subject.Contender) bool {
				return !slices.Contains(c.Subject.Modes, c.Mode) || len(cfg.only) > 0 && !slices.Contains(cfg.only, c.Subject.Name)
			})
			if len(cfg.Contenders) > 0 {
				plan = append(plan, cfg)
			}
		}
	}
	return plan, nil
}

func check(what string, names, known []string) error {
	for _, name := range names {
		if !slices.Contains(known, name) {
			return fmt.Errorf("no %s %q: choose from %s", what, name, strings.Join(known, ", "))
		}
	}
	return nil
}

// contenders are the subjects in the modes that a scenario tells apart: reads
// in every mode, writes in the usual one.
func contenders(cfg Config, subjects []subject.Subject) []subject.Contender {
	var list []subject.Contender
	for _, s := range subjects {
		switch cfg.Scenario {
		case "read", "mixed", "bursty":
			for _, mode := range s.Modes {
				list = append(list, subject.Contender{Subject: s, Mode: mode})
			}
		case "memory":
			list = append(list, subject.Contender{Subject: s, Mode: subject.Local})
		default:
			list = append(list, subject.Contender{Subject: s, Mode: s.Modes[0]})
		}
	}
	return list
}

// sizes are the configurations of one scenario.
func sizes(name string, quick bool) []Config {
	switch name {
	case "rmw":
		return rmwSizes(quick)
	case "read":
		return []Config{
			{Workers: 1, Nodes: 1, Payload: small, Sessions: sessions, Op: readOwn, Prepared: true},
			{Workers: workers, Nodes: 1, Payload: small, Sessions: sessions, Op: readOwn, Prepared: true},
			{Variant: "round-robin", Workers: workers, Nodes: mixedNodes, Payload: small, Sessions: sessions, Op: roundRobin(look)},
			{Variant: "sticky", Workers: workers, Nodes: mixedNodes, Payload: small, Sessions: sessions, Op: sticky(look)},
		}
	case "mixed":
		return []Config{{Workers: workers, Nodes: mixedNodes, Payload: small, Sessions: mixedSessions, Op: mixed}}
	case "bursty":
		return []Config{{Workers: burstyWorkers, Nodes: mixedNodes, Payload: small, Sessions: mixedSessions, Op: page}}
	case "contended":
		return contendedSizes(quick)
	case "replicas":
		return replicaSizes(quick)
	case "removals":
		size := Config{Workers: workers, Nodes: 2, Payload: small, Hold: 2 * time.Millisecond}
		byLogout, byRevoke := size, size
		byLogout.Variant, byLogout.Op = "logout", removal(logout)
		byRevoke.Variant, byRevoke.Op = "revoke", removal(revoke)
		return []Config{byLogout, byRevoke}
	case "http":
		return httpSizes(quick)
	case "memory":
		size := Config{Workers: 4 * workers, Nodes: 1, Payload: small, Sessions: cachedSessions}
		if quick {
			size.Sessions = cachedQuick
		}
		return []Config{size}
	}
	return nil
}

func rmwSizes(quick bool) []Config {
	var list []Config
	for _, payload := range []int{small, medium, large} {
		for _, n := range []int{1, 16, 64, 256} {
			if quick && (n == 64 || payload == large || payload == medium && n != 16) {
				continue
			}
			list = append(list, Config{Workers: n, Nodes: 1, Payload: payload, Sessions: sessions, Op: rmw})
		}
	}
	return list
}

// contendedSizes are 16 contenders in three arrangements, with holds that range
// from nothing to a handler with queries of its own.
func contendedSizes(quick bool) []Config {
	const ms = time.Millisecond
	layouts := []struct {
		nodes, tabs int
		holds       []time.Duration
	}{
		{1, 16, []time.Duration{0, 2 * ms}},
		{4, 4, []time.Duration{0, 2 * ms, 10 * ms}},
		{16, 1, []time.Duration{0, 2 * ms}},
	}
	if quick {
		layouts = layouts[1:2]
		layouts[0].holds = []time.Duration{2 * ms}
	}
	var list []Config
	for _, layout := range layouts {
		for _, hold := range layout.holds {
			list = append(list, Config{
				Workers: layout.nodes * layout.tabs, Nodes: layout.nodes, Tabs: layout.tabs,
				Payload: small, Sessions: 1, Hold: hold,
				Op: contended, Alone: true, Length: 3,
			})
		}
	}
	return list
}

func replicaSizes(quick bool) []Config {
	var list []Config
	for _, balancing := range []struct {
		name string
		op   Op
	}{{"round-robin", roundRobin(update)}, {"sticky", sticky(update)}} {
		for _, nodes := range []int{1, 4, 16, 64, 256} {
			if quick && nodes != 1 && nodes != 256 {
				continue
			}
			cfg := Config{
				Variant: balancing.name, Workers: workers, Nodes: nodes,
				Payload: small, Sessions: replicaSessions,
				Op: balancing.op, PoolSize: replicaPool, Passing: true,
			}
			if quick { // opening 256 nodes takes longer than measuring them
				cfg.only = []string{"holdfast", "scs", "limit"}
			}
			list = append(list, cfg)
		}
	}
	return list
}

func httpSizes(quick bool) []Config {
	var list []Config
	for _, n := range []int{1, 16, 64} {
		if quick && n != 16 {
			continue
		}
		list = append(list, Config{Workers: n, Nodes: 1, Payload: small, Sessions: sessions, Op: rmw, Web: true})
	}
	return list
}
