// Package history records what many clients did to sessions, and checks that one order of it all keeps the promises of
// the library: no acknowledged update is lost, a removed session stays removed, a locked or optimistic request sees what
// is current when it opens, and a read-only one what was current at most MaxStaleness ago.
//
//	h := history.New(history.Config{MaxStaleness: 2 * time.Second})
//	op := h.Begin("tab 1", history.Add, id, token)
//	err := m.Update(ctx, id, func(s *manager.Session) error {
//		seen := value.Get(s)
//		op.Saw(seen)
//		value.Set(s, op.Next(seen))
//		return nil
//	})
//	op.End(history.OutcomeOf(err))
//	...
//	report := h.Check(time.Minute)
//
// # Values
//
// Every write stores a [Value] that carries the number of the operation that wrote it. So each read shows, in
// passing, which writes took effect and what each was based on. That is what makes the check both strict and cheap. A
// write of unknown outcome either was seen by a later operation, and then it happened, or it makes no
// difference. What is left for the search that package porcupine does is the order of operations that overlap.
//
// # Tokens
//
// An operation names the token that it showed, and rotation names the one that it issued. An operation without a token
// goes by the session's ID and is not affected by rotation. Rotation means Session.Rotate: tokens that RotateEvery has
// replaced go on working, and are recorded without a token.
//
// # Time
//
// Operations are ordered by the order in which Begin, Saw and End are called, and only staleness and recovery are
// measured by the clock. So a history from a testing/synctest bubble, in which much happens in the same instant, is no
// less strict. One process records; operations of other processes are recorded by the client that asked for them.
//
// Sessions must not expire during a history. Keep them to some hundred operations each, and begin new ones rather.
package history
