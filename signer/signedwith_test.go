package signer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// meet has the marks of a configured device compared.
func (r *rig) meet(name, id string, marks ...device.Mark) (alarm string) {
	r.t.Helper()
	for i := range marks {
		marks[i].PKH = r.pkh()
	}
	_, alarm, err := r.s.Reconciler(name).Reconcile(r.t.Context(), id, marks)
	require.NoError(r.t, err)
	return alarm
}

// What was signed with a device counts, and not only what was seen of it at a connection: its card was put back to a
// state between the two. For both kinds of device, in one run and over a restart; it is told once.
func TestSignedAndFallen(t *testing.T) {
	for name, row := range map[string]struct {
		curve tezos.Curve
		kind  tezos.Kind
	}{"one mark": {tezos.Ed25519, 0}, "a mark a kind": {tezos.BLS12381, tezos.Attestation}} {
		for _, restart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, row.curve)
				at := func(level int32) device.Mark { return device.Mark{Kind: row.kind, Level: level} }
				require.Empty(t, r.meet("left", "ts-1", at(10)))
				for level := int32(11); level <= 20; level++ {
					r.mustSign(r.payload(tezos.Attestation, level, 0, 1))
				}
				if restart {
					r.restart()
				}
				require.Contains(t, r.meet("left", "ts-1", at(15)), "fell from level 20 round 0 to level 15 round 0")
				r.alarmed(signer.AlarmBackwards)
				r.restart()
				require.Empty(t, r.s.Acknowledge(r.s.Alarms()[0].ID))
				require.Empty(t, r.meet("left", "ts-1", at(15)), "it is told once")
				require.Empty(t, r.s.Alarms())

				r.mustSign(r.payload(tezos.Attestation, 30, 0, 1)) // and counts again from here
				r.restart()
				require.Contains(t, r.meet("left", "ts-1", at(29)), "fell from level 30")
			})
		}
	}
}

// A request that was not signed is no evidence: the mark moved, and the device may never have been asked.
func TestAskedAndNotSignedIsNoFall(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10})
	r.mustSign(r.payload(tezos.Attestation, 11, 0, 1))
	req, err := tezos.Decode(tezos.BLS12381, r.payload(tezos.Attestation, 12, 0, 1))
	require.NoError(t, err)
	pending, err := r.db.Advance(r.mark(tezos.Attestation), hwm.MarkFor(req, at))
	require.NoError(t, err)
	require.NoError(t, pending.Wait())
	r.restart()
	require.Empty(t, r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 11}))
	require.Contains(t, r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10}), "fell from level 11",
		"what was signed is kept at the end")
}

// The spare of a pair stands still while the other device signs: that is no fall. Two Ledgers of one seed have one
// identity, and are told apart by their names.
func TestSparePairOfOneSeed(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	spare := newDevice("right", r.key)
	r.config = func(c *signer.Config) { c.Devices = []signer.Device{r.device, spare} }
	r.restart()
	meet := func(left, right int32) (alarms [2]string) {
		return [2]string{
			r.meet("left", "four-words", device.Mark{Level: left}), r.meet("right", "four-words", device.Mark{Level: right}),
		}
	}
	require.Empty(t, meet(10, 10)[0])
	r.mustSign(r.payload(tezos.Attestation, 20, 0, 1))
	for range 3 {
		r.restart()
		require.Equal(t, [2]string{}, meet(20, 10), "the spare stands still")
	}
	require.Empty(t, r.s.Alarms())

	r.device.Become(device.Absent)
	r.s.Learn()
	r.mustSign(r.payload(tezos.Attestation, 30, 0, 1)) // with the spare
	r.device.Become(device.Ready)
	r.restart()
	require.Equal(t, [2]string{}, meet(20, 30))
	// A real fall of either is seen.
	require.Contains(t, meet(19, 30)[0], "fell from level 20")
	require.Contains(t, meet(19, 29)[1], "fell from level 30")
	require.Len(t, r.s.Alarms(), 2)
}

// noted counts what is noted.
type noted struct {
	signer.Store
	n int
}

func (c *noted) NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo) {
	c.n++
	c.Store.NoteSigned(rows)
}

// What was signed is not written down at each signature: the sign path has no more to sync than before.
func TestSigningWritesNothingMore(t *testing.T) {
	count := &noted{}
	r := newRig(t, tezos.BLS12381, func(c *signer.Config) { count.Store, c.Store = c.Store, count })
	for range 2 {
		r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10})
		before, level := count.n, r.at(tezos.Attestation).Level
		for i := range int32(10) {
			r.mustSign(r.payload(tezos.Attestation, level+1+i, 0, 1))
		}
		require.LessOrEqual(t, count.n-before, 1, "once, when the device is a new one")
		r.stop()
		require.LessOrEqual(t, count.n-before, 2, "and at the end")
		r.start()
	}
}

// A device that was replaced under the same name is another one.
func TestReplacedDevice(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10})
	r.mustSign(r.payload(tezos.Attestation, 20, 0, 1))
	r.restart()
	require.Empty(t, r.meet("left", "ts-2", device.Mark{Kind: tezos.Attestation}))
}

// What earlier versions remember, by the identity alone, counts until the device was seen under its name.
func TestSeenByAnEarlierVersion(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	require.NoError(t, r.db.SetSeen("ts-1", r.pkh(), tezos.Attestation, pos(50, 0)))
	require.NoError(t, r.db.SetSeen("ts-1", r.pkh(), tezos.Block, pos(60, 0)))
	r.restart()
	require.Contains(t, r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 40}), "fell from level 50")
	require.Empty(t, r.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 40}))
	require.Contains(t, r.meet("left", "ts-1", device.Mark{Kind: tezos.Block, Level: 59}), "fell from level 60",
		"kind by kind")
	p, ok := r.db.Seen("ts-1", r.pkh(), tezos.Attestation)
	require.True(t, ok)
	require.Equal(t, pos(50, 0), p, "an earlier version finds its own")
}

// A Ledger whose setting High Watermark is off is back at its set-up after each power cut. That is a note; a fall to
// anywhere else is not.
func TestLedgerThatForgets(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	require.Empty(t, r.meet("left", "four-words", device.Mark{Level: 10})) // where it was set up
	for level := int32(20); level <= 40; level += 10 {
		r.mustSign(r.payload(tezos.Attestation, level, 0, 1))
		if level == 30 {
			r.restart()
		}
		require.Empty(t, r.meet("left", "four-words", device.Mark{Level: 10}), "a power cut")
		require.Empty(t, r.s.Alarms())
	}
	r.mustSign(r.payload(tezos.Attestation, 50, 0, 1))
	require.Contains(t, r.meet("left", "four-words", device.Mark{Level: 45}), "fell from level 50")
	r.alarmed(signer.AlarmBackwards)
	require.Empty(t, r.s.Acknowledge(r.s.Alarms()[0].ID))

	// Where it fell to is where it falls to again.
	r.mustSign(r.payload(tezos.Attestation, 60, 0, 1))
	require.Empty(t, r.meet("left", "four-words", device.Mark{Level: 45}))
	require.Empty(t, r.s.Alarms())
	// A gadget writes its marks down: it does not forget.
	g := newRig(t, tezos.BLS12381)
	require.Empty(t, g.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10}))
	g.mustSign(g.payload(tezos.Attestation, 20, 0, 1))
	require.NotEmpty(t, g.meet("left", "ts-1", device.Mark{Kind: tezos.Attestation, Level: 10}))
}

// What an operator sets is no fall, and no sign of another signer: lower, and higher, where the host's marks go along.
func TestMarksThatAnOperatorSets(t *testing.T) {
	for _, kind := range []tezos.Kind{0, tezos.Attestation} {
		r := newRig(t, tezos.BLS12381)
		set := func(level int32) {
			m := device.Mark{PKH: r.pkh(), Kind: kind, Level: level}
			require.NoError(t, r.s.Reconciler("left").(device.MarkSetter).SetMarks("id", []device.Mark{m}))
			require.Empty(t, r.meet("left", "id", m))
			r.restart()
			require.Empty(t, r.meet("left", "id", m))
			require.Empty(t, r.s.Alarms())
		}
		require.Empty(t, r.meet("left", "id", device.Mark{Kind: kind, Level: 10}))
		r.mustSign(r.payload(tezos.Attestation, 100, 0, 1))
		set(50)
		require.Equal(t, pos(100, 0), r.at(tezos.Attestation), "nothing lowers the host")
		set(500)
		require.Equal(t, pos(500, 0), r.at(tezos.Attestation))
		r.mustRefuse(r.payload(tezos.Attestation, 500, 0, 1), "not_above")
		r.mustSign(r.payload(tezos.Attestation, 501, 0, 1))
	}
}
