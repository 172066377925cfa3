package measure

import "slices"

// Spread is one figure measured in several rounds.
type Spread struct {
	Median, Low, High float64
}

// SpreadOf puts the rounds of one figure together. Without rounds it is zero.
func SpreadOf(rounds []float64) Spread {
	if len(rounds) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(rounds))
	mid := len(sorted) / 2
	median := sorted[mid]
	if len(sorted)%2 == 0 {
		median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return Spread{Median: median, Low: sorted[0], High: sorted[len(sorted)-1]}
}

// Relative is the distance from the lowest to the highest round, as a part of the median.
func (s Spread) Relative() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.High - s.Low) / s.Median
}

// Pairwise divides round by round: what one subject reached by what another
// reached in the same round. A round that either lacks is left out.
func Pairwise(these, those map[int]float64) []float64 {
	var ratios []float64
	for round, that := range those {
		if this, ok := these[round]; ok && that != 0 {
			ratios = append(ratios, this/that)
		}
	}
	return ratios
}
