package operate

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/rights"
	"highwater/internal/tezos"
)

func eachOf(all []rights.Right) func(func(rights.Right)) {
	return func(look func(rights.Right)) {
		for _, r := range all {
			look(r)
		}
	}
}

// crowd are the coming rights of 100 keys: each attests 96 levels, and one of them has the block of each of 2,000.
func crowd() (all []rights.Right) {
	const keys = 100
	begin := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	key := func(i int32) (k tezos.PublicKeyHash) {
		binary.BigEndian.PutUint32(k.Hash[:], uint32(i))
		return k
	}
	for level := int32(1); level <= 2000; level++ {
		at := begin.Add(time.Duration(level) * 6 * time.Second)
		for i := int32(0); level <= rights.AheadAttest && i < keys; i++ {
			all = append(all, rights.Right{PKH: key(i), Kind: tezos.Attestation, Level: level, At: at})
		}
		all = append(all, rights.Right{PKH: key(level % keys), Kind: tezos.Block, Level: level, At: at})
	}
	return all
}

// TestAPlanIsReadOncePerHead: the rights are walked for a new version, and for no second status of the version.
func TestAPlanIsReadOncePerHead(t *testing.T) {
	var p plans
	all, walks := crowd(), 0
	each := func(look func(rights.Right)) { walks++; eachOf(all)(look) }
	first := p.read(0, each)
	require.Len(t, first.firsts, 200)
	require.Len(t, first.busy, 2000)
	require.Equal(t, first, p.read(0, each))
	require.Equal(t, 1, walks)

	all = all[:1]
	require.Len(t, p.read(1, each).firsts, 1)
	require.Equal(t, 2, walks)
}

// BenchmarkRights: the rights in a status, with 100 keys and 2,000 planned levels; at a new head, and again.
func BenchmarkRights(b *testing.B) {
	each := eachOf(crowd())
	for name, step := range map[string]uint64{"a new head": 1, "the same head": 0} {
		b.Run(name, func(b *testing.B) {
			var p plans
			version := uint64(0)
			for b.Loop() {
				v := Rights{Known: rights.AheadAttest, Next: []NextRight{}}
				v.fill(p.read(version, each), nil, time.Time{})
				version += step
			}
		})
	}
}
