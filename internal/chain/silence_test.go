package chain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/node/nodesim"
)

// rare are levels at which a small baker has to attest.
func rare(level int32) bool { return level%20 == 0 }

func TestSilenceIsCountedWhereThereWereRights(t *testing.T) {
	r := newRig(t, butOne)
	r.sim.Advance()
	for range 3 {
		r.attest() // levels 1001 to 1003
	}
	s, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, Silence{Head: start + 4, LastOwn: start + 3, Since: start - 1}, s)
	for range 4 { // the head goes to 1008: 1004 to 1007 are silent, and at 1006 there were no rights
		r.sim.Advance()
	}
	s, err = r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, Silence{Head: start + 8, LastOwn: start + 3, Silent: 3, Since: start - 1}, s)
}

// TestSilenceOfRareRights: levels without rights do not count, however many; what was signed last is found far back,
// and a node is not asked for each block on the way.
func TestSilenceOfRareRights(t *testing.T) {
	r := newRig(t, rare)
	for r.sim.Head().Level <= start+100 {
		if rare(r.sim.Head().Level) && r.sim.Head().Level > start {
			r.attest() // 1020, 1040, … 1100
		} else {
			r.sim.Advance()
		}
	}
	for range 60 { // 1120, 1140 are silent, and 1160 is not yet known
		r.sim.Advance()
	}
	head := r.sim.Head().Level
	require.Equal(t, int32(start+161), head)
	before := r.sim.Served()
	s, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, Silence{Head: head, LastOwn: start + 100, Silent: 3, Since: start + 100}, s)
	asked := r.sim.Served() - before
	require.Less(t, asked, int64(3*(Window+5)), "%d questions", asked)

	// A second look costs one question; a new block, what it holds and who had to attest.
	before = r.sim.Served()
	again, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, s, again)
	require.Equal(t, before+1, r.sim.Served())
	r.sim.Advance()
	_, err = r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.LessOrEqual(t, r.sim.Served(), before+1+5)
}

// TestSilenceIsBounded: keys that were never seen are looked for so far, and no further; the answer says how far.
func TestSilenceIsBounded(t *testing.T) {
	r := newRig(t, always)
	for range 120 {
		r.sim.Advance()
	}
	before := r.sim.Served()
	s, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, int32(-1), s.LastOwn)
	require.Equal(t, MaxSilence, s.Silent)
	require.Equal(t, r.sim.Head().Level-MaxSilence, s.Since)
	require.Less(t, r.sim.Served()-before, int64(3*MaxSilence+8))

	none, err := r.reader.Silence(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, none.Silent)
	r.sim.SetFaults(nodesim.Faults{Down: true})
	_, err = r.reader.Silence(t.Context(), r.keys)
	require.Error(t, err)
}

// TestSilenceOfAYoungChain: fewer levels are evidence.
func TestSilenceOfAYoungChain(t *testing.T) {
	r := newRig(t, always)
	for range 3 {
		r.sim.Advance()
	}
	s, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, Silence{Head: start + 3, LastOwn: -1, Since: start - 1, Silent: 4}, s)
}

// TestASignatureFarBackEndsTheSilence: nothing before it counts.
func TestASignatureFarBackEndsTheSilence(t *testing.T) {
	r := newRig(t, always)
	r.sim.Advance()
	for range 4 {
		r.attest()
	}
	last := r.sim.Head().Level - 1
	for range Window + 4 {
		r.sim.Advance()
	}
	s, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, last, s.LastOwn)
	require.Equal(t, Window+4, s.Silent)
}
