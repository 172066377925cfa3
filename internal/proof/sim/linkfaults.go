package sim

import (
	"math/rand/v2"
	"time"
)

// linkFaults is how badly a node's link to Redis behaves. The shares are probabilities, of pieces of data as they are
// written: a command, a pipeline, or the answers to them.
type linkFaults struct {
	delay time.Duration // of everything, each way: up to so long

	slow   float64       // share of pieces that take up to slowBy instead
	slowBy time.Duration //

	loseRequest float64 // never arrives; the connection ends
	loseReply   float64 // the server does it, the answer never arrives; the connection ends
	hang        float64 // likewise, but the connection seems alive
	late        float64 // the connection ends, and the server does it up to slowBy later
	lose        func(commands string) bool

	kind          string  // only messages that begin so have such outcomes; all, if it is empty
	dropMessage   float64 // shares of messages to subscribers
	repeatMessage float64
	holdMessage   float64 // overtaken by later ones, up to slowBy
}

// outcome is what becomes of one request.
type outcome int

const (
	passes outcome = iota
	isLost
	losesReply
	hangs
	comesLate
)

func (w *linkFaults) outcome(rnd *rand.Rand, commands []byte) outcome {
	if w.lose != nil && !w.lose(string(commands)) {
		return passes
	}
	p := rnd.Float64()
	for _, c := range []struct {
		share   float64
		outcome outcome
	}{{w.loseRequest, isLost}, {w.loseReply, losesReply}, {w.hang, hangs}, {w.late, comesLate}} {
		if p < c.share {
			return c.outcome
		}
		p -= c.share
	}
	return passes
}

// takes is how long a piece of data is under way.
func (w *linkFaults) takes(rnd *rand.Rand) time.Duration {
	if w.slow > 0 && rnd.Float64() < w.slow {
		return upTo(rnd, w.slowBy)
	}
	return upTo(rnd, w.delay)
}

// upTo draws a duration, in whole microseconds.
func upTo(rnd *rand.Rand, d time.Duration) time.Duration {
	if d < time.Microsecond {
		return 0
	}
	return time.Duration(rnd.Int64N(int64(d/time.Microsecond))+1) * time.Microsecond
}
