package rights

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

// TestWhatTheChainShows: attestations alone and in aggregates, blocks by us and by another; a level counts once it is
// final, and not before.
func TestWhatTheChainShows(t *testing.T) {
	for _, separate := range []bool{false, true} {
		r := newRig(t, func(c *nodesim.Config) { c.Separate = separate }).catchUp()
		r.attest(0, 1)
		require.NoError(t, r.advance()) // 1001
		r.attest(1)
		r.step(0, tezos.Block, 1002)
		require.NoError(t, r.advance())
		r.attest(0)
		require.NoError(t, r.advance())
		for r.sim.Head().Level < 1002+1+Depth {
			from, to := r.f.Known()
			require.Less(t, to, int32(1002), "%d..%d at head %d", from, to, r.sim.Head().Level)
			require.NoError(t, r.advance())
		}
		_, to := r.f.Known()
		require.Equal(t, int32(1002), to)
		tz1, tz4 := r.outcomes(0, tezos.Attestation), r.outcomes(1, tezos.Attestation)
		require.Equal(t, []Outcome{Included, Missed, Included}, []Outcome{tz1[1000], tz1[1001], tz1[1002]})
		require.Equal(t, []Outcome{Included, Included, Missed}, []Outcome{tz4[1000], tz4[1001], tz4[1002]})
		require.Equal(t, Included, r.outcomes(0, tezos.Block)[1002])
		require.Equal(t, Missed, r.outcomes(1, tezos.Block)[1001])
		require.NotContains(t, r.outcomes(0, tezos.Block), int32(1001))
		require.Equal(t, Unknown, tz1[999], "the node has no such block")
	}
}

// TestALateAttestationIsMissed: a protocol takes it into the next block only.
func TestALateAttestationIsMissed(t *testing.T) {
	r := newRig(t).catchUp()
	require.NoError(t, r.advance())
	require.NoError(t, r.advance())
	r.step(0, tezos.Attestation, 1001) // gets into block 1003
	for range 2 + Depth {
		require.NoError(t, r.advance())
	}
	require.Equal(t, Missed, r.outcomes(0, tezos.Attestation)[1001])
}

// TestAReorganisationMissesNothing: a fork without our attestation was the head for a while.
func TestAReorganisationMissesNothing(t *testing.T) {
	for fork := 1; fork <= 3; fork++ {
		r := newRig(t).catchUp()
		for range fork {
			require.NoError(t, r.advance())
		}
		r.step(0, tezos.Attestation, start) // gets into the block of the other fork
		h := r.sim.Reorganise(fork, false)
		r.f.Saw(h.Level, h.Timestamp)
		for range 2 + Depth {
			require.NoError(t, r.look())
			require.NoError(t, r.advance())
		}
		require.Equal(t, Included, r.outcomes(0, tezos.Attestation)[start], "a fork of %d blocks", fork)
		require.Equal(t, Missed, r.outcomes(1, tezos.Attestation)[start])
	}
}

// TestALaterRound: a block of an earlier round is no fault of a later baker, and a later round one of the earlier.
func TestALaterRound(t *testing.T) {
	right := Right{PKH: tezos.PublicKeyHash{Curve: tezos.P256}, Kind: tezos.Block, Level: 7, Round: 1}
	of := block(0, tezos.PublicKeyHash{}, tezos.PublicKeyHash{})
	require.Equal(t, NotNeeded, Judge(right, of, of).Outcome)
	of = block(2, tezos.PublicKeyHash{}, tezos.PublicKeyHash{})
	require.Equal(t, Missed, Judge(right, of, of).Outcome)
	of = block(2, tezos.PublicKeyHash{}, right.PKH)
	require.Equal(t, Included, Judge(right, of, of).Outcome, "the payload was agreed on, and proposed again")
	of = block(1, right.PKH, right.PKH)
	require.Equal(t, Included, Judge(right, of, of).Outcome)
	right.Round = 0
	of = block(1, right.PKH, right.PKH)
	require.Equal(t, int32(1), Judge(right, of, of).Chain)
}

// TestNothingIsMissedInTheDark: a node that is gone, refuses the rights, or has no such blocks makes no missed right; a
// node that tells again is asked again after a pause.
func TestNothingIsMissedInTheDark(t *testing.T) {
	for _, f := range []nodesim.Faults{{NoRights: true}, {Down: true}, {Oldest: 5000}} {
		r := newRig(t)
		r.sim.SetFaults(f)
		for range 3 * Depth {
			_ = r.advance()
		}
		require.Empty(t, r.f.Next(r.keys[0].PKH))
		require.Empty(t, r.f.Past(0))
		from, to := r.f.Known()
		require.Greater(t, from, to)
		require.Error(t, r.f.Problem())

		r.sim.SetFaults(nodesim.Faults{Oldest: r.sim.Head().Level - 1})
		r.now = r.now.Add(longestWait)
		require.NoError(t, r.advance())
		require.NoError(t, r.f.Problem())
		require.NotEmpty(t, r.f.Next(r.keys[0].PKH))
		for range Levels {
			if r.advance() != nil || r.sim.Head().Level > start+100 {
				break
			}
		}
		for _, p := range r.f.Past(0) {
			if p.Level < r.sim.Faults().Oldest {
				require.Equal(t, Unknown, p.Outcome, p.Level)
			}
		}
	}
}

// TestAFailingNodeIsLeftAlone for a growing while.
func TestAFailingNodeIsLeftAlone(t *testing.T) {
	r := newRig(t)
	r.sim.SetFaults(nodesim.Faults{NoRights: true})
	looks := 0
	for range 200 {
		before := r.sim.Served()
		_ = r.advance()
		if r.sim.Served() > before {
			looks++
		}
	}
	require.Less(t, looks, 15)
	require.Greater(t, looks, 5)
}

// TestComingRights: both bakers in turn, with the times by the pace of the chain; the node is asked in batches.
func TestComingRights(t *testing.T) {
	r := newRig(t)
	for range 40 {
		r.attest(0, 1)
		require.NoError(t, r.advance())
	}
	head := r.sim.Head()
	next := r.f.Next(r.keys[0].PKH)
	require.Equal(t, head.Level+1, next[0].Level)
	require.Equal(t, head.Timestamp.Add(6*time.Second), next[0].At)
	kinds := map[tezos.Kind]int32{}
	for i, n := range next {
		require.Equal(t, r.keys[0].PKH, n.PKH)
		if i > 0 {
			require.GreaterOrEqual(t, n.Level, next[i-1].Level)
		}
		kinds[n.Kind] = n.Level
	}
	require.GreaterOrEqual(t, kinds[tezos.Attestation], head.Level+AheadAttest/2)
	require.GreaterOrEqual(t, kinds[tezos.Block], head.Level+AheadBlocks-200)
	require.Empty(t, r.f.Next(tezos.PublicKeyHash{}))

	var most, all int64
	for range 64 {
		r.attest(0, 1)
		require.NoError(t, r.advance())
		most, all = max(most, r.asked), all+r.asked
	}
	require.LessOrEqual(t, most, int64(3+2*asksPerHead))
	require.LessOrEqual(t, all, int64(64*3+6), "a block costs three questions, and the rights few")
	require.Len(t, r.pending(), 2*(1+Depth)+2*(1+Depth))
}

// TestManyKeysAreAskedForFewLevels: no answer is large, and the plan of a hundred keys is complete.
func TestManyKeysAreAskedForFewLevels(t *testing.T) {
	for keys, levels := range map[int]int{1: chain.AttestBatch, 32: 32, 100: 10, 5000: fewestLevels} {
		require.Equal(t, levels, levelsAtOnce(keys), "%d keys", keys)
	}
	r := newRig(t, func(c *nodesim.Config) {
		for i := range 100 {
			pkh := tezos.PublicKeyHash{Hash: [20]byte{byte(i), 1}}
			c.Bakers = append(c.Bakers, node.Signer{Delegate: pkh, Key: pkh})
		}
	})
	for i := range 100 {
		r.keys = append(r.keys, Key{PKH: tezos.PublicKeyHash{Hash: [20]byte{byte(i), 1}}})
	}
	r.catchUp()
	for range AheadAttest / (asksPerHead * levelsAtOnce(len(r.keys))) {
		require.NoError(t, r.advance())
	}
	attest, _ := r.f.Planned()
	require.GreaterOrEqual(t, attest, r.sim.Head().Level+AheadAttest/2)
}

// TestKindsOfAnother: a kind that is signed elsewhere is no right of this instance; new keys have new rights.
func TestKindsOfAnother(t *testing.T) {
	r := newRig(t).catchUp()
	r.keys[0].Kinds = []tezos.Kind{tezos.Attestation}
	require.NoError(t, r.advance())
	for _, n := range r.f.Next(r.keys[0].PKH) {
		require.Equal(t, tezos.Attestation, n.Kind)
	}
	require.NotEmpty(t, r.f.Next(r.keys[1].PKH))
	r.keys = r.keys[:1]
	require.NoError(t, r.advance())
	require.Empty(t, r.f.Next(r.signs[1].PublicKey().Hash()))
	require.NotEmpty(t, r.f.Next(r.keys[0].PKH))
	r.keys = nil
	require.NoError(t, r.advance())
	require.Zero(t, r.asked)
}

// TestTheMemoryOfRightsIsBounded: by levels, and by outcomes; a long silence of the node begins anew.
func TestTheMemoryOfRightsIsBounded(t *testing.T) {
	f := New(Config{})
	f.from, f.settled = 1, 0
	row := make([]Past, 100)
	for level := int32(1); level <= 3*Levels; level++ {
		for i := range row {
			row[i].Level = level
		}
		f.keep(level, row[:1])
	}
	from, to := f.Known()
	require.Equal(t, int32(Levels), to-from+1)
	require.Len(t, f.Past(0), Levels)
	require.Equal(t, from, f.Past(0)[0].Level)
	for level := to + 1; level <= to+Levels; level++ {
		for i := range row {
			row[i].Level = level
		}
		f.keep(level, row)
	}
	from, _ = f.Known()
	require.Len(t, f.Past(0), maxPast)
	require.Equal(t, from, f.Past(0)[0].Level)
	require.Len(t, f.Past(from+1), maxPast-len(row))

	f.head = to + 10*Levels
	f.begin([]Key{{}})
	require.Empty(t, f.Past(0))
	from, known := f.Known()
	require.Equal(t, []int32{f.head - Depth - Backfill, f.head - Depth - Backfill - 1}, []int32{from, known})
}

// TestAFollowerOfNothing knows nothing.
func TestAFollowerOfNothing(t *testing.T) {
	var f *Follower
	f.Saw(1, time.Now())
	require.Empty(t, f.Next(tezos.PublicKeyHash{}))
	require.Empty(t, f.Past(0))
	f.EachPending(func(Right) { t.Error("a pending right") })
	f.EachMissed(0, func(tezos.PublicKeyHash, tezos.Kind, int32) { t.Error("a missed right") })
	require.NoError(t, f.Problem())
	from, to := f.Known()
	require.Greater(t, from, to)
	require.Nil(t, f.Changed())
}

// TestRunFollows over a stream of heads, and ends.
func TestRunFollows(t *testing.T) {
	r := newRig(t).catchUp()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.f.Run(ctx) }()
	for range 2 + Depth {
		r.attest(0, 1)
		h := r.sim.Advance()
		changed := r.f.Changed()
		r.f.Saw(h.Level, h.Timestamp)
		<-changed
	}
	require.Equal(t, Included, r.outcomes(1, tezos.Attestation)[1000])
	cancel()
	<-done
}

func TestWordsOfOutcomes(t *testing.T) {
	for o := Unknown; o <= NotNeeded; o++ {
		text, err := o.MarshalText()
		require.NoError(t, err)
		var back Outcome
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, o, back)
	}
	var o Outcome
	require.Error(t, o.UnmarshalText([]byte("lost")))
}
