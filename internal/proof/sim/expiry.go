package sim

import (
	"context"
	"time"

	"github.com/holdfast-go/holdfast/internal/proof/history"
)

// expiry notes in the history when a session ends by its idle timeout: as a removal, which is under way from shortly before
// until Redis has dropped the record. It returns when there is no session any more.
func (c *cluster) expiry(id string) {
	const early = 20 * time.Millisecond // a node may call a session ended a little before Redis does
	ctx, rdb, record := context.Background(), c.srv.Client(), prefix+":{"+id+"}"
	for {
		left, err := rdb.PTTL(ctx, record).Result()
		switch {
		case err != nil:
			c.problem("ask when a session ends: %v", err)
			return
		case left < 0:
			return
		case left > early:
			time.Sleep(left - early)
			continue
		}
		var ops []*history.Op
		for _, register := range []string{first, second} {
			ops = append(ops, c.history.Begin("the idle timeout", history.Remove, id+"/"+register, ""))
		}
		time.Sleep(left + time.Millisecond)
		outcome := history.OK
		if rdb.Exists(ctx, record).Val() > 0 {
			outcome = history.Refused // a request has prolonged it
		}
		for _, op := range ops {
			op.End(outcome)
		}
	}
}
