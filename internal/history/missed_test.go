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
	missed := func(key int, level int32) Missed {
		return Missed{PKH: tezos.PublicKeyHash{Hash: [20]byte{byte(key)}}, Kind: tezos.Attestation, Level: level}
	}
	all := WithMissed(h.Read(), []Missed{missed(2, 480), missed(1, 498), missed(1, 505), missed(1, 515), missed(2, 483)})
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
		all := WithMissed(h.Read(), []Missed{{at.PKH, at.Kind, level}})
		require.LessOrEqual(t, len(all[0].Squares), Levels)
		last := all[0].Squares[len(all[0].Squares)-1]
		require.Equal(t, max(level, 1000+Levels-1), last.Level)
		require.Equal(t, level > 1000+Levels-1, last.Missed)
	}
}
