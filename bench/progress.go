package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress tells on one line of a terminal what is running, and now and then on
// a line of its own where the output goes elsewhere.
type progress struct {
	begun time.Time

	mu       sync.Mutex // guards what follows
	out      io.Writer
	terminal bool
	shown    string
	told     time.Time
}

// quietFor is how long a log waits for the next line of progress.
const quietFor = 10 * time.Second

func newProgress(out *os.File) *progress {
	return &progress{begun: time.Now(), out: out, terminal: term.IsTerminal(int(out.Fd()))}
}

func (p *progress) show(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.terminal:
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%4.0fs  %s", now.Sub(p.begun).Seconds(), text)
		p.shown = text
	case now.Sub(p.told) > quietFor:
		_, _ = fmt.Fprintf(p.out, "%4.0fs  %s\n", now.Sub(p.begun).Seconds(), text)
		p.told = now
	}
}

// print writes a line that stays.
func (p *progress) print(text string) {
	p.clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.out, text)
}

// clear takes the line of progress away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.shown != "" {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = ""
	}
}
