package signer_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
)

// marks are the rig's three marks.
func (r *rig) marks() (out [3]hwm.Position) {
	r.t.Helper()
	for i, kind := range tezos.Kinds {
		out[i] = r.at(kind)
	}
	return out
}

func pos(level, round int32) hwm.Position { return hwm.Position{Level: level, Round: round} }

func (r *rig) reconcile(marks ...device.Mark) (raise []device.Mark, alarm string) {
	r.t.Helper()
	for i := range marks {
		marks[i].PKH = r.pkh()
	}
	raise, alarm, err := r.s.Reconciler("left").Reconcile(r.t.Context(), "serial", marks)
	require.NoError(r.t, err)
	return raise, alarm
}

// A Ledger's one mark covers all kinds: it raises the host only from above all of the host's marks, and then all of
// them.
func TestReconcileOneMarkForAllKinds(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Block, 20, 1, 1))
	r.mustSign(r.payload(tezos.Attestation, 22, 0, 1))
	before := r.marks()

	raise, alarm := r.reconcile(device.Mark{Level: 22}) // what it signed last: an attestation
	require.Empty(t, alarm)
	require.Equal(t, before, r.marks())
	require.Equal(t, []device.Mark{{PKH: r.pkh(), Level: 10}}, raise, "never above the lowest of the host's marks")
	r.mustSign(r.payload(tezos.Block, 22, 0, 1)) // still signable

	_, _ = r.reconcile(device.Mark{Level: 21}) // behind
	r.mustSign(r.payload(tezos.Preattestation, 22, 0, 1))

	_, _ = r.reconcile(device.Mark{Level: 50, Round: 3}) // ahead: somebody used it elsewhere
	require.Equal(t, [3]hwm.Position{pos(50, 3), pos(50, 3), pos(50, 3)}, r.marks())
	for _, kind := range tezos.Kinds {
		r.mustRefuse(r.payload(kind, 50, 3, 1), "not_above")
		r.mustRefuse(r.payload(kind, 49, 9, 1), "not_above")
		r.mustSign(r.payload(kind, 50, 4, 1))
	}
	r.restart()
	require.Equal(t, [3]hwm.Position{pos(50, 4), pos(50, 4), pos(50, 4)}, r.marks())
}

// A TezSign has a mark a kind: each raises its own.
func TestReconcileKindByKind(t *testing.T) {
	r := newRig(t, tezos.BLS12381)
	r.mustSign(r.payload(tezos.Block, 20, 0, 1))
	raise, alarm := r.reconcile(
		device.Mark{Kind: tezos.Block, Level: 5}, device.Mark{Kind: tezos.Preattestation, Level: 30, Round: 2},
		device.Mark{Kind: tezos.Attestation, Level: 10},
	)
	require.Empty(t, alarm)
	floor := hwm.Floor(10, at, hwm.SourceSet).Position
	require.Equal(t, [3]hwm.Position{pos(20, 0), pos(30, 2), floor}, r.marks())
	require.Equal(t, []device.Mark{{PKH: r.pkh(), Level: 10}}, raise)
	r.mustRefuse(r.payload(tezos.Preattestation, 30, 2, 1), "not_above")
	r.mustSign(r.payload(tezos.Attestation, 11, 0, 1))
}

// A device that went backwards has lost something: an alarm, over restarts too, and the host stays where it is.
func TestReconcileBackwards(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	_, alarm := r.reconcile(device.Mark{Level: 30})
	require.Empty(t, alarm, "the first time is no fall")
	r.restart()
	before := r.marks()
	_, alarm = r.reconcile(device.Mark{Level: 12})
	require.Contains(t, alarm, "level 30 round 0")
	require.Contains(t, alarm, "level 12 round 0")
	require.Contains(t, alarm, r.pkh().String())
	require.Equal(t, before, r.marks(), "a device lowered the host")
	_, alarm = r.reconcile(device.Mark{Level: 12})
	require.Empty(t, alarm)
	_, alarm, err := r.s.Reconcile(t.Context(), "another", []device.Mark{{PKH: r.pkh(), Level: 3}})
	require.NoError(t, err)
	require.Empty(t, alarm, "another device is not this one")
	_, alarm = r.reconcile(device.Mark{Kind: tezos.Block, Level: 12, Round: 1},
		device.Mark{Kind: tezos.Attestation, Level: 12})
	require.Empty(t, alarm)
	_, alarm = r.reconcile(device.Mark{Kind: tezos.Block, Level: 12}, device.Mark{Kind: tezos.Attestation, Level: 11})
	require.Contains(t, alarm, "block mark")
	require.Contains(t, alarm, "attestation mark")
}

// No mark is ever made from what a device says of itself, not even for a key that is known.
func TestReconcileMakesNoMark(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	fresh := newKey(t, tezos.Ed25519, 5)
	r.device.Hold(append(r.device.Held(), fresh)...)
	r.s.Learn()
	stranger := newKey(t, tezos.Ed25519, 6)
	before, err := r.db.Rows()
	require.NoError(t, err)
	for _, pkh := range []tezos.PublicKeyHash{fresh.PublicKey().Hash(), stranger.PublicKey().Hash()} {
		for _, kind := range []tezos.Kind{0, tezos.Block} {
			raise, _, recErr := r.s.Reconcile(t.Context(), "serial", []device.Mark{{PKH: pkh, Kind: kind, Level: 70}})
			require.NoError(t, recErr)
			require.Empty(t, raise, "a device is raised only to marks that are there")
		}
	}
	after, err := r.db.Rows()
	require.NoError(t, err)
	require.Equal(t, before, after)
	_, err = r.s.Sign(t.Context(), fresh.PublicKey().Hash(), block(71, 0, 1))
	require.Equal(t, "no_mark", signer.ReasonOf(err))
	missing, err := r.s.MissingMarks()
	require.NoError(t, err)
	require.Len(t, missing, 3)
}

// What cannot be recorded is an error: the device is not used.
func TestReconcileThatCannotRecord(t *testing.T) {
	broken := &unwritable{}
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { broken.Store, c.Store = c.Store, broken })
	broken.raise = true
	_, _, err := r.s.Reconcile(t.Context(), "serial", []device.Mark{{PKH: r.pkh(), Level: 70}})
	require.ErrorIs(t, err, errInjected)
	broken.raise, broken.seen = false, true
	_, _, err = r.s.Reconcile(t.Context(), "serial", []device.Mark{{PKH: r.pkh(), Level: 71}})
	require.ErrorIs(t, err, errInjected)
}

type unwritable struct {
	signer.Store
	raise, seen bool
}

func (u *unwritable) Raise(rows []hwm.Row) ([]hwm.Change, error) {
	if u.raise {
		return nil, errInjected
	}
	return u.Store.Raise(rows)
}

func (u *unwritable) SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error {
	if u.seen {
		return errors.Join(errInjected)
	}
	return u.Store.SetSeen(device, pkh, kind, p)
}
