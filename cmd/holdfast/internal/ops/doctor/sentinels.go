package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/ops/target"
	"github.com/holdfast-go/holdfast/internal/report"
)

// replica is the problem of a Redis replica that does not answer. Nothing fails until its primary does.
func replica(t *target.Target, addr string) Check {
	forget := "CLUSTER FORGET its ID on every node"
	if t.Kind == target.Sentinel {
		forget = "SENTINEL RESET the set on one Sentinel after the other"
	}
	return Check{
		Name: "replica", Status: Warn, Found: "replica " + addr + " does not answer",
		Advice: "start it: until then it cannot take over from its primary; if you have removed it, " + forget,
	}
}

// sentinels counts those that answer: a primary is replaced if most of them agree, and as many as the quorum.
func sentinels(ctx context.Context, t *target.Target) Check {
	all, quorum, err := t.Watchers(ctx, target.SentinelTime)
	if err != nil {
		return failed(t, "sentinels", err, "let the user of the Sentinels run SENTINEL MASTER and SENTINEL SENTINELS")
	}
	var dead []string
	primaries := make(map[string]bool)
	for _, w := range all {
		switch {
		case w.Primary != "":
			primaries[w.Primary] = true
		case w.Missed > target.SentinelTime:
			dead = append(dead, fmt.Sprintf("%s does not, last heard %s ago", w.Addr, report.Age(w.Missed)))
		default:
			dead = append(dead, w.Addr+" does not")
		}
	}
	answered, needed := len(all)-len(dead), max(quorum, len(all)/2+1)
	c := Check{Name: "sentinels", Status: OK, Found: fmt.Sprintf("%d of %d answer", answered, len(all))}
	if len(dead) > 0 {
		c.Status, c.Found = Warn, c.Found+"; "+strings.Join(dead, "; ")
		c.Advice = fmt.Sprintf("start it: a failover needs %d of %d", needed, len(all))
	}
	switch {
	case len(primaries) > 1 && len(t.Wounds) == 0: // a failure has a line, and is being dealt with
		c.Status = Fail
		c.Found += fmt.Sprintf("; they name %d primaries", len(primaries))
		c.Advice = "run doctor again when a failover may have ended; else see SENTINEL MASTERS on each: clients go to different servers"
	case answered < needed:
		c.Status = Fail
		c.Advice += ", so no replica would take over"
	case len(all) < 3:
		c.Status = Warn
		c.Advice = "run three Sentinels at least: without most of them there is no failover"
	}
	return c
}
