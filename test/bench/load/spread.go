package load

import (
	"cmp"
	"math/rand/v2"
	"slices"
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

// resamples is how often RatioOfMedians draws.
const resamples = 2000

// RatioOfMedians is the median of samples over that of base, with the interval that
// holds 95 % of what it is when pairs are drawn anew from those given (a bootstrap).
// It draws the same each time. The two have one length; zeros of none.
func RatioOfMedians(samples, base []float64) (got, low, high float64) {
	if len(samples) == 0 {
		return 0, 0, 0
	}
	draw := rand.New(rand.NewPCG(1, 2))
	a, b, ratios := make([]float64, len(samples)), make([]float64, len(samples)), make([]float64, resamples)
	for i := range ratios {
		for j := range a {
			k := draw.IntN(len(samples))
			a[j], b[j] = samples[k], base[k]
		}
		ratios[i] = SpreadOf(a).Median / SpreadOf(b).Median
	}
	slices.Sort(ratios)
	return SpreadOf(samples).Median / SpreadOf(base).Median, Quantile(ratios, 0.025), Quantile(ratios, 0.975)
}
