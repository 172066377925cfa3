package drive

import "testing"

func add(count int) answer {
	return answer{status: 303, session: "s", count: count}
}

func opened(cookie string) answer {
	return answer{status: 303, session: "s", set: cookie}
}

// planted are the faults that the audit must show, and what is none.
var planted = map[string]struct {
	enter func(l *acknowledged)
	found int
	want  Audit
}{
	"all found": {
		enter: func(l *acknowledged) { l.added(add(1)); l.added(add(2)) },
		found: 2,
		want:  Audit{Sessions: 1, Added: 2, Found: 2},
	},
	"overwritten": {
		enter: func(l *acknowledged) { l.added(add(1)); l.added(add(1)) },
		found: 1,
		want:  Audit{Sessions: 1, Added: 2, Found: 1, Lost: 1, Twice: 1},
	},
	"done twice": {
		enter: func(l *acknowledged) { l.added(add(2)) },
		found: 2,
		want:  Audit{Sessions: 1, Added: 1, Found: 2, Surplus: 1},
	},
	"without an answer, not done": {
		enter: func(l *acknowledged) { l.issued(opened("c")); l.added(add(1)); l.unknownAdd(answer{sent: "c"}) },
		found: 1,
		want:  Audit{Sessions: 1, Added: 1, Unknown: 1, Found: 1},
	},
	"without an answer, done": {
		enter: func(l *acknowledged) { l.issued(opened("c")); l.added(add(1)); l.unknownAdd(answer{sent: "c"}) },
		found: 2,
		want:  Audit{Sessions: 1, Added: 1, Unknown: 1, Found: 2},
	},
	"without an answer, in an unknown cart": {
		enter: func(l *acknowledged) { l.added(add(1)); l.unknownAdd(answer{}) },
		found: 1,
		want:  Audit{Sessions: 1, Added: 1, Found: 1},
	},
	"logout without an answer": {
		enter: func(l *acknowledged) { l.issued(opened("c")); l.added(add(1)); l.unconfirmed(answer{sent: "c"}) },
		want:  Audit{Sessions: 1, Unverified: 1},
	},
	"add after logout": {
		enter: func(l *acknowledged) {
			l.added(add(1))
			l.loggedOut(answer{sent: "c", session: "s", count: 1})
			l.added(add(2))
		},
		found: 1,
		want:  Audit{Sessions: 1, Logouts: 1, Added: 2, Found: 1, Lost: 1},
	},
	"back after logout": {
		enter: func(l *acknowledged) {
			l.added(add(1))
			l.replayed(l.loggedOut(answer{sent: "c", session: "s", count: 1}), opened(""))
		},
		found: 1,
		want:  Audit{Sessions: 1, Logouts: 1, Added: 1, Found: 1, Revived: 1},
	},
	"old cookie after login": {
		enter: func(l *acknowledged) { l.replayed(l.loggedIn(answer{sent: "c", session: "s"}), opened("")) },
		want:  Audit{Logins: 1, OldToken: 1},
	},
	"old cookie that opens nothing": {
		enter: func(l *acknowledged) { l.replayed(l.loggedIn(answer{sent: "c", session: "s"}), answer{status: 200}) },
		want:  Audit{Logins: 1},
	},
}

func TestBalance(t *testing.T) {
	t.Parallel()
	for name, test := range planted {

		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newAcknowledged()
			test.enter(l)
			for _, acc := range l.accounts {
				acc.found = test.found
			}
			got := l.balance()
			if got != test.want {
				t.Errorf("audit is %+v, want %+v", got, test.want)
			}
			wantOK := got.Lost+got.Surplus+got.Twice+got.Revived+got.OldToken == 0
			if got.balanced() != wantOK {
				t.Errorf("balanced is %v for %+v", got.balanced(), got)
			}
		})
	}
}
