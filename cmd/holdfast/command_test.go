package main

import (
	"context"
	"strings"
	"testing"
)

func TestMistakesAreReportedInOneLine(t *testing.T) {
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
		{"demo -drive -duration 0s", "-duration must be positive"},
		{"demo -think -1s", "-think must not be negative"},
		{"demo -redis=", "-redis has no value"},
		{"demo -tabs 3", "-tabs needs -drive"},
		{"demo -kill", "-kill needs -drive"},
		{"demo -drive -tls", "-tls cannot be used with -drive"},
		{"ls now", `unexpected argument "now"`},
		{"ls -older 3", "want a time such as"},
		{"ls -newer 1h -older 2h", "-newer must be longer than -older"},
		{"ls -min-size big", "want bytes such as"},
		{"ls -limit -1", "-limit must not be negative"},
		{"ls -timeout 0s", "-timeout must be positive"},
		{"ls -redis nowhere", "-redis needs host:port"},
		{"ls -redis http://a:1", "-redis needs host:port"},
		{"ls -prefix {shop}", "-prefix has braces"},
		{"ls -redis redis://a:1,b:2,rediss://c:3", "with TLS and without"},
		{"ls -cluster -sentinel x", "exclude each other"},
		{"ls -cluster -redis redis://a:1/2", "database 0 only"},
		{"show", "give one session ID"},
		{"show abc", "argument 1 is not a session ID"},
		{"ls -user=", "-user has no value"},
		{"revoke AAAAAAAAAAAAAAAAAAAAAA -user= -yes", "-user has no value"},
		{"locks -sentinel= -- AAAAAAAAAAAAAAAAAAAAAA", "-sentinel has no value"},
		{"revoke", "give session IDs or -user"},
		{"revoke -user bob AAAAAAAAAAAAAAAAAAAAAA", "not both"},
		{"revoke AAAAAAAAAAAAAAAAAAAAAA", "add -yes"},
		{"revoke AAAAAAAAAAAAAAAAAAAAAA ../../etc -yes", "argument 2 is not a session ID"},
		{"watch -kind probe,noise", "-kind knows invalidation, grant, recall, probe only"},
		{"watch -for -1s", "-for must not be negative"},
		{"locks -for 1s", "-for is for -watch"},
		{"doctor me", `unexpected argument "me"`},
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

// Messages repeat what was typed. Not so what may be a secret: a token that was pasted, a URL with a password.
func TestMistakesRepeatNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2hunter2hunter2hunter2hunter2X"
	token := strings.Repeat("A", 22) + "." + secret
	dashed := "-" + token[1:]
	for _, args := range [][]string{
		{"show", token},
		{"show", dashed},
		{"revoke", token, "-yes"},
		{"ls", token},
		{"ls", dashed},
		{"ls", "redis://:" + secret + "@host"},
		{"ls", "-redis", "redis://:" + secret + "/@host"},
		{"ls", "-redis://:" + secret + "@h"},
		{"ls", "-redis", "redis://:" + secret + "@host:port"},
		{"ls", "-redis", "bob:" + secret + "@host:1"},
		{"ls", "-redis", "redis://host:1/" + secret},
		{"ls", "-redis", "redis://host:1?password=" + secret},
		{"redis://:" + secret + "@host"},
		{token},
		{"demo", "redis://:" + secret + "@host"},
		{"demo", "-redis", "redis://:" + secret + "/@host"},
		{"demo", "-redis", "redis://:" + secret + "@host:port"},
	} {
		status, out, errs := holdfast(t.Context(), args...)
		if status == succeeded || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, output %q, errors %q", args, status, out, errs)
		}
		lacks(t, errs, secret)
	}
}

func TestHelpFitsAScreen(t *testing.T) {
	t.Parallel()
	calls := []string{"--help", "help", "demo -h"}
	for _, c := range commands {
		calls = append(calls, c.name+" --help")
	}
	for _, args := range calls {
		status, out, errs := holdfast(t.Context(), strings.Fields(args)...)
		if status != succeeded || errs != "" || !strings.Contains(out, "Usage: holdfast") {
			t.Errorf("%s: status %d, errors %q, output %q", args, status, errs, out)
		}
		if n := strings.Count(out, "\n"); n > 23 { // and the prompt below it
			t.Errorf("%s takes %d lines", args, n)
		}
		for l := range strings.Lines(out) {
			if len(l) > 81 {
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
	ctx, stop := context.WithCancel(t.Context())
	out := &trigger{text: "open at", at: stop}
	var errs strings.Builder
	status := run(ctx, []string{"demo", "-listen", "127.0.0.1:0", "-replicas", "2"},
		process{out: out, errs: &errs, env: func(string) string { return "" }})
	if status != succeeded || strings.Contains(errs.String(), "holdfast demo") { // where the machine is slow, warnings are logged
		t.Errorf("status %d, errors %q", status, errs.String())
	}
	for _, want := range []string{"open at http://127.0.0.1:", "embedded Redis", "Closing the shop"} {
		if !strings.Contains(out.all.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.all.String())
		}
	}
}

func TestDriveReportsLossByItsStatus(t *testing.T) {
	t.Parallel()
	args := []string{"demo", "-drive", "-users", "1", "-tabs", "6", "-actions", "30", "-think", "5ms"}
	if status, out, errs := holdfast(t.Context(), args...); status != succeeded {
		t.Errorf("status is %d, want %d: %s\n%s", status, succeeded, errs, out)
	}
	if status, out, errs := holdfast(t.Context(), append(args, "-unlocked")...); status != failed || errs != "" {
		t.Errorf("unlocked: status is %d, want %d: %s\n%s", status, failed, errs, out)
	}
}
