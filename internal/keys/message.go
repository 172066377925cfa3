package keys

// The first byte of a message says what it is about. Package invalidate gives the forms and reads them. The scripts that
// send messages build each of them in one function: grant and recall in queue.lua, invalidate in invalidate.lua.
const (
	InvalidationMessage = 'i'
	GrantMessage        = 'g'
	RecallMessage       = 'r'
	ProbeMessage        = 'p'
)
