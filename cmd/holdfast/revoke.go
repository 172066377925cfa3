package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/operate"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/admin"
	"github.com/holdfast-go/holdfast/internal/report"
)

const revokeHelp = `Usage: holdfast revoke ID... [flags]
       holdfast revoke -user NAME [flags]

End sessions immediately and permanently, even while they are in use. On a
terminal it asks for confirmation.

  -user NAME      end all sessions of this user. To lock a user out, disable
                  the account first: later logins are not affected
  -yes            do not ask for confirmation
  -json           print one JSON document

Exit status: 1 if a session did not exist, the user had none, or you did not
confirm.
`

func revoke(ctx context.Context, args []string, p process) int {
	o := newOperator("revoke", revokeHelp)
	user := o.flags.String("user", "", "")
	yes := o.flags.Bool("yes", false, "")
	ids, status, ok := o.parse(args, p)
	if !ok {
		return status
	}
	err := checkIDs(ids)
	switch {
	case err != nil:
	case *user == "" && len(ids) == 0:
		err = errors.New("give session IDs or -user")
	case *user != "" && len(ids) > 0:
		err = errors.New("give session IDs or -user, not both")
	case !*yes && !isTerminal(p.in):
		err = errNoTerminal
	}
	if err != nil {
		return o.misuse(err, p)
	}
	return o.run(ctx, p, func(t *target.Target, w *report.Writer) error {
		if !*yes {
			if err := confirm(ctx, t, *user, ids, p); err != nil {
				return err
			}
		}
		var done *admin.Revocation
		var err error
		if *user != "" {
			done, err = t.RevokeUser(ctx, *user)
		} else {
			done, err = t.Revoke(ctx, ids)
		}
		operate.PrintRevocation(done, w)
		if err != nil && len(done.Revoked) > 0 {
			w.Line("sessions on servers that did not answer were not revoked: run the command again when they answer")
		}
		switch {
		case err != nil:
			return t.Explain(err)
		case len(done.NotFound) > 0 || len(done.Revoked) == 0:
			return errProblem
		}
		return w.Err()
	})
}

// confirm asks whether to go on.
func confirm(ctx context.Context, t *target.Target, user string, ids []string, p process) error {
	question := "Revoke " + report.Count(len(ids), "session")
	if user != "" {
		n, err := t.Count(ctx, user)
		if err != nil {
			return t.Explain(err)
		}
		question = fmt.Sprintf("Revoke %s of user %s", report.Count(n, "session"), report.Text(user))
	}
	return ask(ctx, fmt.Sprintf("%s in the %s", question, t.Name), "nothing was revoked", p)
}

// errNoTerminal is the mistake of a command that would have to ask.
var errNoTerminal = errors.New("stdin is not a terminal: add -yes to confirm")

// ask asks a question, and returns an error that says what a no means.
func ask(ctx context.Context, question, no string, p process) error {
	fmt.Fprintf(p.errs, "%s? [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // a read from a terminal cannot be canceled; the process ends with it
		line, _ := bufio.NewReader(p.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return errors.New(no)
	}
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // a character device too
	return err != nil || !os.SameFile(info, null)
}
