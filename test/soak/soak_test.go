package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// series is a soak in which one quantity grows by so much from its beginning to its end, with noise on top.
func series(quantity int, growth float64) []sample {
	flat := [quantities]float64{memory: 40 << 20, goroutines: 60, descriptors: 50, file: 128 << 10}
	out := make([]sample, 200)
	for i := range out {
		out[i].values = flat
		for q := range out[i].values {
			out[i].values[q] *= 1 + 0.1*float64(i%3)
		}
		out[i].values[quantity] += growth * float64(i) / float64(len(out))
	}
	return out
}

func TestJudge(t *testing.T) {
	for quantity, growth := range [quantities]float64{memory: 16 << 20, goroutines: 40, descriptors: 40, file: 256 << 10} {
		require.NoError(t, judge(series(quantity, 0)))
		require.NoError(t, judge(series(quantity, growth/8)), "it breathes")
		require.ErrorContains(t, judge(series(quantity, growth)), limits[quantity].name+" grew")
	}
	require.ErrorContains(t, judge(series(memory, 0)[:20]), "too few")
}
