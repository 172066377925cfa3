package drive

import (
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	var d []time.Duration
	for n := 200; n >= 1; n-- {
		d = append(d, time.Duration(n))
	}
	want := Spread{N: 200, P50: 100, P90: 180, P99: 198, Max: 200}
	if got := spreadOf(d); got != want {
		t.Errorf("spread is %+v, want %+v", got, want)
	}
	if got, want := spreadOf([]time.Duration{7}), (Spread{1, 7, 7, 7, 7}); got != want {
		t.Errorf("spread of one is %+v, want %+v", got, want)
	}
	if got := spreadOf(nil); got != (Spread{}) {
		t.Errorf("spread of none is %+v", got)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", -123456: "-123,456", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	for total := 1; total <= 10; total++ {
		m := newMeter(total)
		for range total {
			m.step() // closing a channel twice would panic
		}
		select {
		case <-m.third:
		default:
			t.Errorf("of %d steps, none was the third", total)
		}
	}
}
