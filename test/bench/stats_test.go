package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func durations(ms ...int) []time.Duration {
	out := make([]time.Duration, 0, len(ms))
	for _, m := range ms {
		out = append(out, time.Duration(m)*time.Millisecond)
	}
	return out
}

func TestQuantileIsOfTheNearestRank(t *testing.T) {
	for _, tc := range []struct {
		values []time.Duration
		q      float64
		want   time.Duration
	}{
		{nil, 0.5, 0},
		{durations(7), 0.5, 7 * time.Millisecond},
		{durations(7), 0.99, 7 * time.Millisecond},
		{durations(3, 1, 2), 0.5, 2 * time.Millisecond},
		{durations(4, 3, 1, 2), 0.5, 2 * time.Millisecond},
		{durations(4, 3, 1, 2), 0, 1 * time.Millisecond},
		{durations(4, 3, 1, 2), 1, 4 * time.Millisecond},
		{durations(10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 0.99, 10 * time.Millisecond},
		{durations(10, 9, 8, 7, 6, 5, 4, 3, 2, 1), 0.9, 9 * time.Millisecond},
	} {
		require.Equal(t, tc.want, quantile(tc.values, tc.q), "%v at %v", tc.values, tc.q)
	}
}

func TestQuantileLeavesItsValuesInOrder(t *testing.T) {
	values := durations(3, 1, 2)
	quantile(values, 0.5)
	require.Equal(t, durations(3, 1, 2), values)
}

func TestMedian(t *testing.T) {
	require.Zero(t, median(nil))
	require.InDelta(t, 3, median([]float64{3}), 0)
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{9, 1, 2, 3}), 0)
}

func TestSampleRates(t *testing.T) {
	s := merge(sample{time.Second, durations(1, 2)}, sample{time.Second, durations(3, 100)})
	require.InDelta(t, 2, s.rate(), 0)
	require.Equal(t, 2*time.Millisecond, s.p50())
	require.Equal(t, 100*time.Millisecond, s.p99())
	require.Zero(t, sample{}.rate())
	require.Zero(t, ratio(1, 0))
}

// One turn in which the machine was busy must not decide; nor may a turn without a partner count.
func TestRateRatioComparesTurnByTurn(t *testing.T) {
	quick, slow := sample{time.Second, durations(1, 1, 1, 1)}, sample{time.Second, durations(1, 1)}
	require.InDelta(t, 0.5, rateRatio([]sample{slow, slow, quick}, []sample{quick, quick, slow}), 0)
	require.InDelta(t, 2, rateRatio([]sample{quick, slow}, []sample{slow}), 0)
	require.Zero(t, rateRatio(nil, nil))
}

func TestParseProc(t *testing.T) {
	peak, err := parsePeak("Name:\tx\nVmHWM:\t   33000 kB\nVmRSS:\t 1 kB\n")
	require.NoError(t, err)
	require.Equal(t, int64(33000<<10), peak)
	_, err = parsePeak("VmRSS:\t 1 kB\n")
	require.Error(t, err)
	stat := "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20 0"
	require.Equal(t, 1500*time.Millisecond, parseProcessorTime(stat))
	require.Zero(t, parseProcessorTime("42 (a) S 1"))
	require.Zero(t, parseProcessorTime(""))
}
