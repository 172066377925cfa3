package manager

import (
	"cmp"
	"context"
	"os"
	"runtime/debug"
	"time"

	"github.com/holdfast-go/holdfast/internal/roster"
)

const module = "github.com/holdfast-go/holdfast"

// maxNodeName bounds Config.NodeName, in bytes.
const maxNodeName = 64

// hostName is the default of Config.NodeName.
func hostName() string {
	name, _ := os.Hostname()
	return cmp.Or(name[:min(len(name), maxNodeName)], "unknown")
}

// version is that of this module in the running program, "unknown" outside of module builds.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Path == module {
		return cmp.Or(info.Main.Version, "unknown")
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}

// Version returns the version of this module that the program was built with, as in go.mod: for metrics and support.
func (m *Manager) Version() string { return m.version }

// NodeName returns Config.NodeName with its default applied.
func (m *Manager) NodeName() string { return m.cfg.NodeName }

// logStart logs the one line that connects the name of a process to its node in Redis.
func (m *Manager) logStart() {
	c := &m.cfg
	m.cfg.Logger.Info("holdfast: started", "node", m.node, "name", c.NodeName, "version", m.version, "prefix", c.Prefix,
		"lock_ttl", c.LockTTL, "lock_wait", c.LockWait, "retain", c.Retain, "idle_timeout", c.IdleTimeout, "lifetime", c.Lifetime)
}

// announce describes this Manager in Redis from its first seconds until it is closed, for the tools of operators. If that
// fails, they show its node without a name.
func (m *Manager) announce() {
	tick := time.NewTicker(roster.Refresh)
	defer tick.Stop()
	for announced := false; ; announced = true {
		select {
		case <-m.stop:
			if announced {
				m.announced(m.roster.Withdraw(context.Background(), m.node))
			}
			return
		case <-tick.C:
			m.announced(m.roster.Announce(context.Background(), m.node, m.entry()))
		}
	}
}

func (m *Manager) announced(err error) {
	if err != nil {
		m.cfg.Logger.Debug("holdfast: replica not announced; tools show its node without a name", "error", err)
	}
}

func (m *Manager) entry() roster.Entry {
	return roster.Entry{
		Name: m.cfg.NodeName, Version: m.version, Started: m.started, At: time.Now(),
		Counts: roster.Counts{
			Commits: m.counts.commits.Load(), Refused: m.counts.refused.Load(), Retained: int64(m.locker.Stats().Retained),
		},
	}
}
