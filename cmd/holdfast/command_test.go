package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func holdfast(ctx context.Context, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(ctx, args, process{in: strings.NewReader(""), out: &o, errs: &e, env: func(string) string { return "" }})
	return status, o.String(), e.String()
}

func TestMistakesAreToldInOneLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"dance", `unknown command "dance"`},
		{"demo -colour", "flag provided but not defined"},
		{"demo -tabs many", "invalid value"},
		{"demo now", `unexpected argument "now"`},
		{"demo -replicas 0", "-replicas must be between 1 and 100"},
		{"demo -drive -users -1", "-users must be between"},
		{"demo -drive -tabs 5000", "-tabs must be between"},
		{"demo -drive -actions 0", "-actions must be between"},
		{"demo -drive -duration 0s", "-duration must be more"},
		{"demo -think -1s", "-think must not be negative"},
		{"demo -redis=", "-redis needs an address"},
		{"demo -tabs 3", "-tabs is for -drive"},
		{"demo -kill", "-kill is for -drive"},
	} {
		status, out, errs := holdfast(t.Context(), strings.Fields(test.args)...)
		if status != misused || out != "" {
			t.Errorf("%s: status %d and output %q, want %d and none", test.args, status, out, misused)
		}
		if !strings.Contains(errs, test.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: message is %q, want one line with %q", test.args, errs, test.want)
		}
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"--help", "help", "demo -h", "demo --help"} {
		status, out, errs := holdfast(t.Context(), strings.Fields(args)...)
		if status != succeeded || errs != "" || !strings.Contains(out, "Usage: holdfast") {
			t.Errorf("%s: status %d, errors %q, output %q", args, status, errs, out)
		}
		lines := strings.Split(out, "\n")
		if len(lines) > 45 {
			t.Errorf("%s takes %d lines", args, len(lines))
		}
		for _, l := range lines {
			if len(l) > 80 {
				t.Errorf("%s: line is wider than 80: %q", args, l)
			}
		}
	}
	if status, _, errs := holdfast(t.Context()); status != misused || !strings.Contains(errs, "demo") {
		t.Errorf("no command: status %d, errors %q", status, errs)
	}
}

func TestDemoCannotRun(t *testing.T) {
	t.Parallel()
	status, _, errs := holdfast(t.Context(), "demo", "-listen", "127.0.0.1:0", "-redis", "127.0.0.1:1")
	if status != failed || !strings.Contains(errs, "reach Redis at 127.0.0.1:1") {
		t.Errorf("status %d, errors %q", status, errs)
	}
}

func TestDemoServesUntilStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	status, out, errs := holdfast(ctx, "demo", "-listen", "127.0.0.1:0", "-replicas", "2")
	if status != succeeded || errs != "" {
		t.Errorf("status %d, errors %q", status, errs)
	}
	for _, want := range []string{"open at http://127.0.0.1:", "embedded Redis", "Closing the shop"} {
		if !strings.Contains(out, want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

func TestDriveTellsLossByItsStatus(t *testing.T) {
	t.Parallel()
	args := []string{"demo", "-drive", "-users", "1", "-tabs", "6", "-actions", "30", "-think", "5ms"}
	if status, out, errs := holdfast(t.Context(), args...); status != succeeded {
		t.Errorf("status is %d, want %d: %s\n%s", status, succeeded, errs, out)
	}
	if status, out, errs := holdfast(t.Context(), append(args, "-unlocked")...); status != failed || errs != "" {
		t.Errorf("unlocked: status is %d, want %d: %s\n%s", status, failed, errs, out)
	}
}
