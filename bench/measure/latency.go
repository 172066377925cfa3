package measure

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are recorded in nanoseconds, to two digits: finer than any two
// rounds agree, and small enough to give every worker a recorder of its own.
const (
	longest = time.Minute
	digits  = 2
)

// Latencies is a record of how long operations took. It is not safe for
// concurrent use: each worker has its own, and they are added up afterwards.
type Latencies struct {
	hist *hdrhistogram.Histogram
	max  time.Duration
}

// NewLatencies returns an empty record.
func NewLatencies() *Latencies {
	return &Latencies{hist: hdrhistogram.New(1, int64(longest), digits)}
}

// Record notes one operation. What took longer than a minute counts as a minute.
func (l *Latencies) Record(d time.Duration) {
	d = min(max(d, 1), longest)
	l.max = max(l.max, d)
	_ = l.hist.RecordValue(int64(d)) // in range by the line before
}

// Add takes in the operations of another record.
func (l *Latencies) Add(other *Latencies) {
	l.hist.Merge(other.hist)
	l.max = max(l.max, other.max)
}

// Reset forgets everything.
func (l *Latencies) Reset() {
	l.hist.Reset()
	l.max = 0
}

// Count is the number of operations.
func (l *Latencies) Count() int64 { return l.hist.TotalCount() }

// Percentile returns the time within which p percent of the operations ended.
func (l *Latencies) Percentile(p float64) time.Duration {
	return min(time.Duration(l.hist.ValueAtPercentile(p)), l.max)
}

// Max is the longest operation, exactly.
func (l *Latencies) Max() time.Duration { return l.max }
