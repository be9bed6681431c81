package main

import (
	"math"
	"slices"
	"time"
)

// sample is the result of one slice of load.
type sample struct {
	took    time.Duration // of the slice
	latency []time.Duration
}

// merge makes one sample of several slices of one contender.
func merge(samples ...sample) sample {
	var out sample
	for _, s := range samples {
		out.took += s.took
		out.latency = append(out.latency, s.latency...)
	}
	return out
}

// rate is answers per second; zero for a sample without time.
func (s sample) rate() float64 {
	if s.took <= 0 {
		return 0
	}
	return float64(len(s.latency)) / s.took.Seconds()
}

func (s sample) p50() time.Duration { return quantile(s.latency, 0.50) }
func (s sample) p99() time.Duration { return quantile(s.latency, 0.99) }

// quantile is the nearest-rank quantile: the smallest value at or above the share q of all values. Zero without values.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// median of numbers; the mean of the middle two of an even count. Zero of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// ratio is a divided by b; zero when b is.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// rateRatio compares slices taken in turns, a[i] beside b[i]: the median of the ratios of the rates. A disturbance of
// some seconds hits both.
func rateRatio(a, b []sample) float64 {
	ratios := make([]float64, 0, len(a))
	for i, s := range a {
		if i < len(b) {
			ratios = append(ratios, ratio(s.rate(), b[i].rate()))
		}
	}
	return median(ratios)
}
