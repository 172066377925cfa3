package measure_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-go/holdfast/bench/measure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLatencies(t *testing.T) {
	t.Parallel()
	all, part := measure.NewLatencies(), measure.NewLatencies()
	for i := range 1000 {
		to := all
		if i%2 == 0 {
			to = part
		}
		to.Record(time.Duration(i+1) * time.Microsecond)
	}
	all.Add(part)
	if got := all.Count(); got != 1000 {
		t.Errorf("count = %d, want 1000", got)
	}
	for p, want := range map[float64]time.Duration{50: 500 * time.Microsecond, 99: 990 * time.Microsecond} {
		if got := all.Percentile(p); got < want*98/100 || got > want*102/100 {
			t.Errorf("percentile %v = %v, want about %v", p, got, want)
		}
	}
	if got := all.Max(); got != time.Millisecond {
		t.Errorf("max = %v, want 1ms", got)
	}
	if got := all.Percentile(100); got > all.Max() {
		t.Errorf("percentile 100 = %v, above the maximum", got)
	}
	all.Record(time.Hour)
	if got := all.Max(); got != time.Minute {
		t.Errorf("max = %v, want the bound of a minute", got)
	}
	all.Reset()
	if all.Count() != 0 || all.Max() != 0 {
		t.Errorf("after reset: %d operations, max %v", all.Count(), all.Max())
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rounds []float64
		want   measure.Spread
	}{
		{nil, measure.Spread{}},
		{[]float64{3, 1, 2}, measure.Spread{Median: 2, Low: 1, High: 3}},
		{[]float64{4, 1, 2, 3}, measure.Spread{Median: 2.5, Low: 1, High: 4}},
	} {
		if got := measure.SpreadOf(test.rounds); got != test.want {
			t.Errorf("SpreadOf(%v) = %v, want %v", test.rounds, got, test.want)
		}
	}
	if got := (measure.Spread{Median: 2, Low: 1, High: 3}).Relative(); got != 1 {
		t.Errorf("relative spread = %v, want 1", got)
	}
}

func TestPairwise(t *testing.T) {
	t.Parallel()
	ratios := measure.Pairwise(map[int]float64{0: 10, 1: 30, 3: 1}, map[int]float64{0: 5, 1: 10, 2: 7, 3: 0})
	if got := measure.SpreadOf(ratios); len(ratios) != 2 || got.Low != 2 || got.High != 3 {
		t.Errorf("ratios = %v, want 2 and 3", ratios)
	}
}

func TestWireCountsBurstsAsRoundTrips(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
	}()

	var wire measure.Wire
	conn, err := wire.Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := wire.Traffic()
	for range 3 {
		for _, part := range []string{"ab", "cd"} { // two writes, one burst
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	want := measure.Traffic{RoundTrips: 3, Bytes: 24}
	if got := wire.Traffic().Since(before); got != want {
		t.Errorf("traffic = %+v, want %+v", got, want)
	}
}

func TestCostSeesWork(t *testing.T) {
	t.Parallel()
	before, err := measure.Read(t.Context(), fixedServer(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var kept [][]byte
	for spent := time.Now(); time.Since(spent) < 500*time.Millisecond; {
		if len(kept) < 1000 {
			kept = append(kept, make([]byte, 100))
		}
	}
	after, err := measure.Read(t.Context(), fixedServer(3*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	cost := after.Since(before)
	if cost.Elapsed < 50*time.Millisecond || cost.Client < 5*time.Millisecond || cost.Redis != 2*time.Second || cost.Allocs < 1000 {
		t.Errorf("cost = %+v after %d allocations", cost, len(kept))
	}
}

// fixedServer has used that much CPU time.
type fixedServer time.Duration

func (s fixedServer) CPU(context.Context) (time.Duration, bool, error) {
	return time.Duration(s), true, nil
}
