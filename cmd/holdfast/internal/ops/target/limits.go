package target

import "time"

// The limits of time. They are short, since a person waits. The tests of the commands raise them before anything else runs: on
// a busy machine a server that is slow would otherwise be taken for a dead one.
var (
	CallTime     = 3 * time.Second        // for a call, unless -timeout is given
	ProbeTime    = time.Second            // for a server to show that it lives
	SentinelTime = time.Second            // for a Sentinel to name the primary
	PausedTime   = 500 * time.Millisecond // for the same, while writes are paused
)
