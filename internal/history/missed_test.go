package history

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// TestMissedRightsAreMarked: at asked levels, before and after them, and for a key that nobody asked for.
func TestMissedRightsAreMarked(t *testing.T) {
	h := New()
	for level := int32(500); level < 510; level++ {
		h.keep(record(level, Signed))
	}
	missed := Missed{}
	for _, m := range [][2]int32{{2, 480}, {1, 498}, {1, 505}, {1, 515}, {2, 483}} {
		missed.Add(key(int(m[0])), tezos.Attestation, m[1])
	}
	all := read(h, missed)
	require.Len(t, all, 2)
	got := map[int32]State{}
	for i, q := range all[0].Squares {
		require.Equal(t, 498+int32(i), q.Level)
		if q.Missed {
			got[q.Level] = q.State
		}
	}
	require.Equal(t, map[int32]State{498: None, 505: Signed, 515: None}, got)
	require.Len(t, all[0].Squares, 18)
	require.Equal(t, []Square{{Level: 480, Missed: true}, {Level: 481}, {Level: 482}, {Level: 483, Missed: true}},
		all[1].Squares)
}

// TestMissedRightsKeepTheBound: squares stay within Levels.
func TestMissedRightsKeepTheBound(t *testing.T) {
	h := New()
	for level := int32(1000); level < 1000+Levels; level++ {
		h.keep(record(level, Signed))
	}
	at := record(0, Signed)
	for _, level := range []int32{999, 1000 + Levels, 5, 5000} {
		all := read(h, Missed{{at.PKH, at.Kind}: {level}})
		require.LessOrEqual(t, len(all[0].Squares), Levels)
		last := all[0].Squares[len(all[0].Squares)-1]
		require.Equal(t, max(level, 1000+Levels-1), last.Level)
		require.Equal(t, level > 1000+Levels-1, last.Missed)
	}
}

// read gives all series.
func read(h *History, missed Missed) []Series {
	all, _ := h.Read(missed, 0)
	return all
}

// TestAPartOfTheHistory: the first series by key and kind, and the number of the others.
func TestAPartOfTheHistory(t *testing.T) {
	h, missed := New(), Missed{}
	for i := range 5 {
		h.keep(Record{PKH: key(2 * i), Kind: tezos.Attestation, Level: 7, State: Signed})
		missed.Add(key(2*i+1), tezos.Attestation, 7)
	}
	all := read(h, missed)
	require.Len(t, all, 10)
	for i, s := range all {
		require.Equal(t, key(i), s.PKH)
	}
	some, left := h.Read(missed, 3)
	require.Equal(t, all[:3], some)
	require.Equal(t, 7, left)
}
