package signer_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/tezsign"
)

// newFarRig is a rig at a time at which its marks were just made.
func newFarRig(t *testing.T, head func() *hwm.Known, config ...func(*signer.Config)) *rig {
	return newRig(t, tezos.Ed25519, append(config, func(c *signer.Config) {
		c.Now, c.Head = func() time.Time { return at }, head
	})...)
}

// The client's door: one request cannot make a key useless. Nothing is spent, and the device is not asked.
func TestARequestThatIsTooFar(t *testing.T) {
	r := newFarRig(t, nil)
	before := r.marks()
	for _, kind := range tezos.Kinds {
		for _, level := range []int32{math.MaxInt32, 1_073_741_823, 11 + hwm.FarLevels} {
			err := r.refusal(r.payload(kind, level, 0, 1), "too_far")
			require.ErrorIs(t, err, hwm.ErrRefused)
			require.Contains(t, hints.Of(err), "--far")
		}
	}
	require.Equal(t, before, r.marks())
	require.Empty(t, r.device.Asks())
	r.mustSign(r.payload(tezos.Block, 10+hwm.FarLevels, 0, 1))
	r.mustSign(r.payload(tezos.Attestation, 20+hwm.FarLevels, 0, 1)) // the key's other mark is known too
}

// With a node its head counts alone: a client cannot climb, one step after the other.
func TestARequestThatIsTooFarForTheHead(t *testing.T) {
	head := hwm.Known{Level: 20, At: at, Node: true}
	r := newFarRig(t, func() *hwm.Known { return &head })
	r.mustSign(r.payload(tezos.Block, 20+hwm.FarLevels, 0, 1))
	r.mustRefuse(r.payload(tezos.Block, 21+hwm.FarLevels, 0, 1), "too_far")
	head.Level += 5
	r.mustSign(r.payload(tezos.Block, 25+hwm.FarLevels, 0, 1))
}

// A pause is covered by time, also after a restart; a clock that went backwards adds nothing.
func TestAPauseAllowsItsLevels(t *testing.T) {
	now := at
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { c.Now = func() time.Time { return now } })
	now = at.Add(-24 * time.Hour)
	r.mustRefuse(r.payload(tezos.Block, 11+hwm.FarLevels, 0, 1), "too_far")
	now = at.Add(30 * 24 * time.Hour)
	r.mustSign(r.payload(tezos.Block, 10+30*14_400, 0, 1))
}

// A Ledger is not asked for what is too far, and the host's mark stays.
func TestALedgerIsNotAskedForWhatIsTooFar(t *testing.T) {
	r := newLedgerRig(t)
	_, err := r.db.Raise(r.s.Floors(15, hwm.SourceSet))
	require.NoError(t, err)
	for curve, key := range r.keys {
		if curve == tezos.BLS12381 {
			continue
		}
		mark := hwm.Key{Chain: ghost, PKH: key.Hash(), Kind: tezos.Block}
		_, err := r.db.Raise([]hwm.Row{{Key: mark, Mark: hwm.Floor(16, time.Now(), hwm.SourceSet)}})
		require.NoError(t, err)
		require.Equal(t, "too_far", signer.ReasonOf(r.sign(curve, payloadOf(curve, tezos.Block, 1_073_741_823, 0, 1))))
		require.NoError(t, r.sign(curve, payloadOf(curve, tezos.Block, 17, 0, 1)))
	}
}

// The device's door: a spare that was used on another chain moves no mark, is not used, and the good device goes on.
// The operator decides.
func TestASpareOfAnotherChainKillsNothing(t *testing.T) {
	spare := newDevice("spare")
	r := newFarRig(t, nil, func(c *signer.Config) { c.Devices = append(c.Devices, spare) })
	spare.Hold(r.key)
	r.s.Learn()
	before := r.marks()
	far := []device.Mark{
		{PKH: r.pkh(), Kind: tezos.Block, Level: 3_000_000}, {PKH: r.pkh(), Kind: tezos.Attestation, Level: 3_000_010},
	}
	_, _, err := r.s.Reconciler("spare").Reconcile(t.Context(), "tezsign:1", far)
	require.NoError(t, err)
	require.Equal(t, before, r.marks())
	alarms := r.s.Alarms()
	require.Len(t, alarms, 1)
	require.Equal(t, signer.AlarmOtherChain, alarms[0].Name)
	require.Contains(t, alarms[0].Text, "used on another chain?")
	require.Contains(t, alarms[0].Hint, "highwater hwm import --device")

	r.mustSign(r.payload(tezos.Block, 11, 0, 1))
	r.device.Become(device.Absent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.s.Sign(ctx, r.pkh(), r.payload(tezos.Block, 12, 0, 1))
	require.Error(t, err, "the spare is not used")
	require.Empty(t, spare.Asks())
	for _, d := range r.s.Devices() {
		if d.Name == "spare" {
			require.Contains(t, d.Keys[0].Usable, "another chain")
		}
	}

	// Put back where it belongs, it is used.
	near := []device.Mark{{PKH: r.pkh(), Kind: tezos.Block, Level: 9}, {PKH: r.pkh(), Kind: tezos.Attestation, Level: 9}}
	_, _, err = r.s.Reconciler("spare").Reconcile(t.Context(), "tezsign:1", near)
	require.NoError(t, err)
	r.mustSign(r.payload(tezos.Block, 13, 0, 1))
	require.Len(t, spare.Asks(), 1)

	// Or the operator takes its marks: then it is ahead of nothing.
	_, _, err = r.s.Reconciler("spare").Reconcile(t.Context(), "tezsign:1", far)
	require.NoError(t, err)
	var rows []hwm.Row
	for _, m := range far {
		rows = append(rows, hwm.Row{
			Key:  r.mark(m.Kind),
			Mark: hwm.Mark{Position: pos(m.Level, m.Round), At: at, Source: hwm.SourceImport},
		})
	}
	_, err = r.db.Raise(rows)
	require.NoError(t, err)
	r.mustSign(r.payload(tezos.Block, 3_000_001, 0, 1))
	require.Len(t, spare.Asks(), 2)
}

// The same with a real driver: what the gadget says at its connection.
func TestAGadgetOfAnotherChain(t *testing.T) {
	r := newGadgetRig(t)
	require.NoError(t, r.sign(tezos.Attestation, 20, 0))
	_, err := r.db.Raise(r.s.Floors(21, hwm.SourceSet))
	require.NoError(t, err)
	r.stop()
	r.elsewhere(func(d *tezsign.Device) {
		require.NoError(t, d.SetLevel(t.Context(), "consensus", 30_000_000, tezsign.LevelOptions{HostMark: 21}))
	})
	r.start()
	require.Eventually(t, func() bool { return r.dev.Status().Health == device.Ready }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = r.s.Sign(ctx, r.pkh, payloadOf(tezos.BLS12381, tezos.Attestation, 22, 0, 1))
	require.ErrorContains(t, err, "another chain")
	for _, key := range hwm.KeysOf(ghost, r.pkh) {
		st, err := r.db.State(key)
		require.NoError(t, err)
		require.Equal(t, int32(21), st.Mark.Level, "a mark of the host moved")
	}
}

// Ready means that the head's next level would be signed.
func TestLevelHealth(t *testing.T) {
	var mu sync.Mutex
	var head *hwm.Known
	r := newFarRig(t, func() *hwm.Known { mu.Lock(); defer mu.Unlock(); return head })
	health := func() signer.LevelHealth {
		h, err := r.s.KeyHealth(r.pkh())
		require.NoError(t, err)
		for _, f := range h.Faults {
			if f.Level != nil {
				require.Equal(t, signer.KeyLevel, f.Reason)
				return *f.Level
			}
		}
		return signer.LevelHealth{}
	}
	require.True(t, health().OK(), "without a node nobody knows")
	ceiling := func(level int32) {
		require.NoError(t, r.db.SetCeiling(
			hwm.CeilingKey{Chain: ghost, PKH: r.pkh()}, hwm.Ceiling{Level: level, At: at, Source: hwm.SourceSet}))
	}
	ceiling(8_000)
	require.True(t, health().OK(), "levels are left below the ceiling")
	head = &hwm.Known{Level: 10, At: at, Node: true}
	require.True(t, health().OK(), "the floor is at the head")
	head.Level = 9
	require.Equal(t, signer.LevelHealth{From: 11, Ahead: 1}, health(), "the next level is the floor's own")
	r.mustSign(r.payload(tezos.Block, 13, 0, 1))
	head.Level = 10
	require.True(t, health().OK(), "what was signed shows where the chain is")
	_, err := r.db.Raise([]hwm.Row{{Key: r.mark(tezos.Attestation), Mark: hwm.Floor(7_010, at, hwm.SourceSet)}})
	require.NoError(t, err)
	h := health()
	require.Equal(t, signer.LevelHealth{From: 7_011, Ahead: 7_000, Far: true}, h)
	require.Contains(t, h.Text(r.pkh()), "from level 7011 on, in 11 h 40 min")
	ceiling(7_010)
	require.Contains(t, health().Text(r.pkh()), "nothing above its ceiling, level 7010", "the floor is at the ceiling")
	require.Zero(t, health().From, "no waiting helps")
	head = nil
	require.False(t, health().OK(), "no level is left, wherever the chain is")
	head = &hwm.Known{Level: 10, At: at, Node: true}
	ceiling(10)
	require.False(t, health().OK())
	require.Contains(t, health().Text(r.pkh()), "nothing above its ceiling, level 10")
}
