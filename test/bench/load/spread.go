package load

import (
	"cmp"
	"slices"
	"time"
)

// Spread is what a figure's samples look like.
type Spread struct {
	Median, Low, High float64 // Low and High are the quartiles
	Min, Max          float64
	N                 int
}

// SpreadOf summarises samples; it sorts a copy.
func SpreadOf(samples []float64) Spread {
	s := slices.Sorted(slices.Values(samples))
	return Spread{Median: Quantile(s, 0.5), Low: Quantile(s, 0.25), High: Quantile(s, 0.75), Min: Quantile(s, 0), Max: Quantile(s, 1), N: len(s)}
}

// Quantile of sorted samples; zero of none.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	if len(sorted) == 0 {
		return *new(T)
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// Milliseconds converts durations for a Spread.
func Milliseconds(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = float64(d) / float64(time.Millisecond)
	}
	return out
}
