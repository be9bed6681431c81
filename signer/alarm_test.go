package signer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// alarmed wants exactly one alarm of a name, and gives its text.
func (r *rig) alarmed(name signer.AlarmName) string {
	r.t.Helper()
	alarms := r.s.Alarms()
	require.Len(r.t, alarms, 1)
	require.Equal(r.t, name, alarms[0].Name)
	require.NotEmpty(r.t, alarms[0].Hint)
	require.False(r.t, alarms[0].Since.IsZero())
	return alarms[0].Text
}

// snapshot copies the state directory as it is; the function returned puts the copy back, and starts on it.
func (r *rig) snapshot() (restore func()) {
	r.t.Helper()
	r.stop()
	path := filepath.Join(r.dir, "marks.db")
	old, err := os.ReadFile(path)
	require.NoError(r.t, err)
	r.start()
	return func() {
		r.stop()
		require.NoError(r.t, os.WriteFile(path, old, 0o600))
		r.start()
	}
}

// A state directory that is older than its device is told of, for a device with one mark and for one with a mark a
// kind; the marks are raised, and signing goes on above them.
func TestRollback(t *testing.T) {
	for name, row := range map[string]struct {
		curve tezos.Curve
		kind  tezos.Kind // of the device's mark
	}{"one mark": {tezos.Ed25519, 0}, "a mark a kind": {tezos.BLS12381, tezos.Attestation}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, row.curve)
			r.mustSign(r.payload(tezos.Attestation, 100, 0, 1))
			r.reconcile(device.Mark{Kind: row.kind, Level: 100})
			restore := r.snapshot()
			r.mustSign(r.payload(tezos.Attestation, 105, 0, 1))
			r.reconcile(device.Mark{Kind: row.kind, Level: 105})
			require.Empty(t, r.s.Alarms(), "a device that has what we signed is no news")

			restore()
			require.Equal(t, pos(100, 0), r.at(tezos.Attestation), "the copy is older")
			_, backwards := r.reconcile(device.Mark{Kind: row.kind, Level: 105})
			require.Empty(t, backwards)
			text := r.alarmed(signer.AlarmRollback)
			require.Contains(t, text, "level 105 round 0")
			require.Contains(t, text, "level 100 round 0")
			require.Contains(t, text, r.pkh().String())
			require.Contains(t, text, "restored from a copy?")
			require.NotContains(t, text, "crash", "five levels are no crash")
			require.Contains(t, r.s.Alarms()[0].Hint, "hwm set --all")
			r.mustRefuse(r.payload(tezos.Attestation, 105, 0, 2), "not_above")
			r.mustSign(r.payload(tezos.Attestation, 106, 0, 1)) // an alarm blocks nobody

			r.reconcile(device.Mark{Kind: row.kind, Level: 106})
			r.alarmed(signer.AlarmRollback) // and stays, though the next connection finds nothing new
			require.Len(t, r.s.Acknowledge(0), 1, "one that was not shown is not acknowledged")
			require.Empty(t, r.s.Acknowledge(r.s.Alarms()[0].ID))
			require.Empty(t, r.s.Alarms())
		})
	}
}

// A crash in the middle of a request leaves the device one place ahead. That is no restored copy, and no alarm that
// stands until somebody acknowledges it: the mark is raised, and nothing is signed there.
func TestOnePlaceAheadAfterACrash(t *testing.T) {
	for name, m := range map[string]device.Mark{
		"the next level": {Kind: tezos.Block, Level: 101}, "the next round": {Kind: tezos.Block, Level: 100, Round: 1},
		"one mark for all kinds": {Level: 101, Round: 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, tezos.BLS12381)
			r.mustSign(r.payload(tezos.Block, 100, 0, 1))
			r.reconcile(device.Mark{Kind: m.Kind, Level: 100})
			r.restart()
			r.reconcile(m)
			require.Empty(t, r.s.Alarms())
			require.Equal(t, pos(m.Level, m.Round), r.at(tezos.Block))
			r.mustRefuse(r.payload(tezos.Block, m.Level, m.Round, 7), "not_above")
		})
	}
	// A block's place is seldom the next one after the block before: the key's attestations tell how far the chain was.
	r := newRig(t, tezos.BLS12381)
	r.mustSign(r.payload(tezos.Block, 100, 0, 1))
	r.mustSign(r.payload(tezos.Attestation, 149, 0, 1))
	r.reconcile(device.Mark{Kind: tezos.Block, Level: 100}, device.Mark{Kind: tezos.Attestation, Level: 149})
	r.restart()
	r.reconcile(device.Mark{Kind: tezos.Block, Level: 150})
	require.Empty(t, r.s.Alarms())
	// A level more is not left by a crash.
	r.restart()
	r.reconcile(device.Mark{Kind: tezos.Block, Level: 151}, device.Mark{Kind: tezos.Attestation, Level: 151})
	r.alarmed(signer.AlarmRollback)
}

// In one run nothing is forgotten, so one place ahead was signed elsewhere.
func TestOnePlaceAheadInOneRun(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	r.reconcile(device.Mark{Kind: tezos.Block, Level: 9})
	r.mustSign(r.payload(tezos.Block, 100, 0, 1))
	r.reconcile(device.Mark{Kind: tezos.Block, Level: 101})
	r.alarmed(signer.AlarmElsewhere)
}

// While this process runs nothing that it made can be forgotten: whoever is ahead of it signed elsewhere. So did a
// device that was never here before.
func TestAheadThoughNothingWasRestored(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Block, 100, 0, 1))
	r.reconcile(device.Mark{Level: 100})
	r.reconcile(device.Mark{Level: 500})
	require.Contains(t, r.alarmed(signer.AlarmElsewhere), "a second program signs with the key")

	fresh := newRig(t, tezos.Ed25519)
	fresh.mustSign(fresh.payload(tezos.Block, 100, 0, 1))
	fresh.restart()
	fresh.reconcile(device.Mark{Level: 500})
	require.Contains(t, fresh.alarmed(signer.AlarmElsewhere), "never connected here before")
}

// A mark that was set, imported or taken from a device is no evidence: the device is ahead because it signed elsewhere
// before.
func TestAheadOfAMarkThatWasSet(t *testing.T) {
	for _, kind := range []tezos.Kind{0, tezos.Block} {
		r := newRig(t, tezos.BLS12381) // activated with a level: its marks are set
		r.reconcile(device.Mark{Kind: kind, Level: 9})
		r.restart()
		r.reconcile(device.Mark{Kind: kind, Level: 500})
		r.reconcile(device.Mark{Kind: kind, Level: 600}) // the other host goes on: those marks are the device's
		require.Empty(t, r.s.Alarms())
		require.Equal(t, pos(600, 0), r.at(tezos.Block))
	}
}

// A device that fell is an alarm that outlives its connection.
func TestBackwardsStays(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.reconcile(device.Mark{Level: 30})
	r.reconcile(device.Mark{Level: 12})
	r.reconcile(device.Mark{Level: 12})
	require.Contains(t, r.alarmed(signer.AlarmBackwards), "fell from level 30")
	first := r.s.Alarms()[0].ID
	r.reconcile(device.Mark{Level: 5})
	require.Contains(t, r.alarmed(signer.AlarmBackwards), "fell from level 12", "one for each device and key")
	require.Len(t, r.s.Acknowledge(first), 1, "what was not shown stays")
}

// A gadget has three marks for a key: what they tell together is one alarm.
func TestOneAlarmForAKey(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	var marks []device.Mark
	for _, kind := range tezos.Kinds {
		r.mustSign(r.payload(kind, 100, 0, 1))
		marks = append(marks, device.Mark{Kind: kind, Level: 200})
	}
	r.reconcile(marks...)
	r.alarmed(signer.AlarmElsewhere)
	require.Equal(t, [3]hwm.Position{pos(200, 0), pos(200, 0), pos(200, 0)}, r.marks())
}

// witness knows marks by heart.
type witness struct {
	marks []device.Mark
	err   error
}

func (witness) Name() string { return "node" }

func (w witness) LastSigned(context.Context, []tezos.PublicKeyHash) ([]device.Mark, error) {
	return w.marks, w.err
}

// The node can tell, too; it changes no mark.
func TestWitness(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Attestation, 100, 0, 1))
	r.restart()
	before := r.marks()
	consult := func(level int32) {
		t.Helper()
		w := witness{marks: []device.Mark{{PKH: r.pkh(), Kind: tezos.Attestation, Level: level}}}
		require.NoError(t, r.s.Consult(t.Context(), w))
	}
	consult(100)
	require.Empty(t, r.s.Alarms())
	consult(140)
	require.Contains(t, r.alarmed(signer.AlarmRollback), "the node knows of signatures")
	require.Equal(t, before, r.marks())
	gone := errors.New("gone")
	require.ErrorIs(t, r.s.Consult(t.Context(), witness{err: gone}), gone)
	st, err := r.db.State(hwm.Key{Chain: ghost, PKH: r.pkh(), Kind: tezos.Attestation})
	require.NoError(t, err)
	require.Equal(t, hwm.SourceSigned, st.Mark.Source)
}
