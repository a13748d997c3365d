package load

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Spread summarizes the samples of a figure. The zero value means no samples.
type Spread struct {
	Median, Low, High float64 // Low and High are the quartiles
	Min, Max          float64
	N                 int
}

// SpreadOf summarizes samples. It does not change their order.
func SpreadOf(samples []float64) Spread {
	s := slices.Sorted(slices.Values(samples))
	return Spread{Median: Quantile(s, 0.5), Low: Quantile(s, 0.25), High: Quantile(s, 0.75), Min: Quantile(s, 0), Max: Quantile(s, 1), N: len(s)}
}

// Quantile returns the q-quantile of sorted samples, for 0 <= q <= 1, or zero if there are none.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	if len(sorted) == 0 {
		return *new(T)
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// resamples is the number of samples that RatioOfMedians draws for its interval.
const resamples = 2000

// RatioOfMedians returns the median of samples divided by that of base, with its 95 % confidence
// interval. That comes from a bootstrap: pairs of samples are drawn at random, in the same way each
// time. samples and base have the same length. If they are empty, all results are zero.
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
