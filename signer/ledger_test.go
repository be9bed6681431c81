package signer_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/signer"
	"highwater/signer/signertest"
)

// ledgerRig is a host with a real driver and an emulated Ledger that holds three keys.
type ledgerRig struct {
	*host
	sim  *ledgersim.Device
	keys map[tezos.Curve]*tezos.PublicKey
	list signertest.Released
	dev  *ledger.Device // the driver since the last start

	mu   sync.Mutex
	last signer.Outcome
}

var ledgerCurves = map[tezos.Curve]ledger.Curve{
	tezos.Ed25519: ledger.Ed25519, tezos.Secp256k1: ledger.Secp256k1, tezos.P256: ledger.P256,
}

func newLedgerRig(t *testing.T) *ledgerRig {
	opt := ledgersim.Options{Seed: "a seed of the tests", Decide: ledgersim.Always(ledgersim.Accept)}
	for _, c := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
		opt.Setup = append(opt.Setup, ledgersim.Setup{Curve: ledgerCurves[c], Chain: ghost})
	}
	sim, err := ledgersim.New(opt)
	require.NoError(t, err)
	return newLedgerRigOn(t, sim)
}

// newLedgerRigOn is another machine, with a store of its own, at the same device.
func newLedgerRigOn(t *testing.T, sim *ledgersim.Device) *ledgerRig {
	r := &ledgerRig{sim: sim, keys: map[tezos.Curve]*tezos.PublicKey{}}
	for c, lc := range ledgerCurves {
		key, err := sim.PublicKey(lc, ledger.DefaultPath)
		require.NoError(t, err)
		r.keys[c] = key
	}
	r.host = newHost(t, len(ledgerCurves), func(c *signer.Config) {
		dev, err := ledger.New(ledger.Config{
			Name: "left", Dial: sim.Dial, Chain: ghost, Timeout: 500 * time.Millisecond, Tick: 2 * time.Millisecond,
			Probe: 5 * time.Millisecond,
		})
		require.NoError(t, err)
		r.dev = dev
		c.Observe = func(o signer.Outcome) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last = o
		}
		c.Devices = []signer.Device{dev}
	})
	return r
}

func (r *ledgerRig) lastOutcome() signer.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *ledgerRig) sign(curve tezos.Curve, payload []byte) error {
	key := r.keys[curve]
	sig, err := r.ask(key.Hash(), payload)
	if err == nil {
		r.list.Add(r.t, key, payload, sig)
	}
	return err
}

// What a Ledger cannot sign is refused before it spends a mark: the place is free for what it can sign.
func TestLedgerRefusesBeforeTheMarkMoves(t *testing.T) {
	r := newLedgerRig(t)
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
		long := append(payloadOf(curve, tezos.Block, 20, 0, 1), make([]byte, ledger.MaxPayload)...)
		require.ErrorIs(t, r.sign(curve, long), device.ErrRefused)
		require.NoError(t, r.sign(curve, payloadOf(curve, tezos.Block, 20, 0, 2)))
		// The device has one mark for all kinds: after the attestation a preattestation there is refused, and the host's mark
		// stays.
		require.NoError(t, r.sign(curve, payloadOf(curve, tezos.Attestation, 21, 0, 1)))
		require.False(t, r.lastOutcome().Spared)
		require.ErrorIs(t, r.sign(curve, payloadOf(curve, tezos.Preattestation, 21, 0, 1)), device.ErrRefused)
		require.True(t, r.lastOutcome().Spared, "what was refused reached no device")
		st, err := r.db.State(hwm.Key{Chain: ghost, PKH: r.keys[curve].Hash(), Kind: tezos.Preattestation})
		require.NoError(t, err)
		require.Less(t, st.Mark.Level, int32(20))
	}
	// The two top bits of a level. The marks are near, so that nothing else is in the way.
	_, err := r.db.Raise(r.s.Floors(0x40000000-2, hwm.SourceSet))
	require.NoError(t, err)
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
		require.ErrorIs(t, r.sign(curve, payloadOf(curve, tezos.Block, 0x40000000, 0, 1)), device.ErrRefused)
		require.NoError(t, r.sign(curve, payloadOf(curve, tezos.Block, 0x40000000-1, 0, 1)), "no mark was spent")
	}
}

// A day at a baker's: every kind for every key, replays, and refusals before the device is asked, over restarts of the
// signer and of the device.
func TestLedger(t *testing.T) {
	r := newLedgerRig(t)
	for level := int32(20); level < 26; level++ {
		for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
			for _, kind := range []tezos.Kind{tezos.Block, tezos.Preattestation, tezos.Attestation} {
				require.NoError(t, r.sign(curve, payloadOf(curve, kind, level, 0, 1)))
				require.NoError(t, r.sign(curve, payloadOf(curve, kind, level, 0, 1)), "a replay")
				require.Equal(t, "conflict", signer.ReasonOf(r.sign(curve, payloadOf(curve, kind, level, 0, 2))))
				require.Equal(t, "not_above", signer.ReasonOf(r.sign(curve, payloadOf(curve, kind, level-1, 0, 1))))
			}
		}
		switch level {
		case 22:
			r.restart()
		case 24: // what only the device's memory held is gone; the host's marks are not
			r.sim.PowerCycle()
		}
	}
}

// signCommand tells the command with the payload from the others.
func signCommand(apdu []byte) bool {
	return len(apdu) > 2 && (apdu[1] == 0x04 || apdu[1] == 0x0f) && apdu[2] == 0x81
}

// The cable is pulled before the app has seen the payload: nothing is lost, the request takes a little longer.
func TestLedgerFaultIsAbsorbed(t *testing.T) {
	r := newLedgerRig(t)
	cut := false
	r.sim.SetFaults(func(apdu []byte) (f ledgersim.Fault) {
		if signCommand(apdu) && !cut {
			cut = true
			f.CutBefore = true
		}
		return f
	})
	require.NoError(t, r.sign(tezos.Ed25519, block(20, 0, 1)))
	require.True(t, cut)
}

// The app has signed, and its answer is lost: it refuses these bytes from then on, so nothing leaves for this mark; the
// next level goes.
func TestLedgerAnswerLost(t *testing.T) {
	r := newLedgerRig(t)
	r.sim.SetFaults(func(apdu []byte) ledgersim.Fault { return ledgersim.Fault{CutAfter: signCommand(apdu)} })
	err := r.sign(tezos.Secp256k1, block(20, 0, 1))
	require.Error(t, err)
	require.False(t, signer.Refused(err), "%v", err)
	r.sim.SetFaults(nil)
	require.Equal(t, "conflict", signer.ReasonOf(r.sign(tezos.Secp256k1, block(20, 0, 2))))
	require.NoError(t, r.sign(tezos.Secp256k1, block(21, 0, 1)))
}

// Garbage, duplicated and late answers: whatever the device says, what leaves verifies, and is signed once.
func TestLedgerBabble(t *testing.T) {
	r := newLedgerRig(t)
	for i, f := range []ledgersim.Fault{
		{Garbage: []byte{0x90, 0x00}},
		{Garbage: make([]byte, 80)},
		{Duplicate: true},
		{Drop: true},
		{Delay: 700 * time.Millisecond},
	} {
		once := true
		r.sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if !signCommand(apdu) || !once {
				return ledgersim.Fault{}
			}
			once = false
			return f
		})
		level := 20 + 2*int32(i)
		_ = r.sign(tezos.P256, block(level, 0, 1)) // answered or not: the list judges
		require.Error(t, r.sign(tezos.P256, block(level, 0, 2)))
		r.sim.SetFaults(nil)
		// What is left on the wire may cost one more mark, no more: its answer is taken for another's, and thrown away.
		if r.sign(tezos.P256, block(level+1, 0, 1)) != nil {
			require.NoError(t, r.sign(tezos.P256, block(level+1, 1, 1)), "after fault %d", i)
		}
	}
}

// The device was used elsewhere, and is ahead: the host follows at the next connection, and not before.
func TestLedgerIsAhead(t *testing.T) {
	r := newLedgerRig(t)
	require.NoError(t, r.sign(tezos.Ed25519, block(20, 0, 1)))
	r.stop()
	other := newLedgerRigOn(t, r.sim)
	require.NoError(t, other.sign(tezos.Ed25519, block(40, 0, 1)))
	other.stop()
	r.start()
	require.Equal(t, "not_above", signer.ReasonOf(r.sign(tezos.Ed25519, block(40, 0, 2))))
	require.Equal(t, "not_above", signer.ReasonOf(
		r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 39, 0, 1))))
	require.NoError(t, r.sign(tezos.Ed25519, block(41, 0, 1)))
	require.NoError(t, r.sign(tezos.P256, block(21, 0, 1)), "another key's marks are its own")
}

// A Ledger is never raised unattended: the command and its screens come instead; and nothing once it is not behind.
func TestALedgerIsNotRaisedUnattended(t *testing.T) {
	r := newLedgerRig(t)
	require.NoError(t, r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 20, 0, 1)))
	standing := func() device.Standing {
		for _, st := range r.s.RaiseDevices(t.Context())[0].Keys {
			if st.PKH == r.keys[tezos.Ed25519].Hash() {
				return st
			}
		}
		return device.Standing{}
	}
	require.Equal(t, device.Standing{PKH: r.keys[tezos.Ed25519].Hash(), Level: 20, Allowed: 10}, standing(),
		"it is not behind")
	_, err := r.db.Raise(r.s.Floors(500, hwm.SourceTakeover))
	require.NoError(t, err)
	st := standing()
	require.Equal(t, int32(20), st.Level)
	require.Equal(t, int32(500), st.Allowed)
	require.False(t, st.Raised)
	require.NotEmpty(t, st.Why)
	require.Equal(t, "highwater ledger reset --device left --level 500", st.Command)
	require.Equal(t, []string{"Review Request", "Reset HWM 500", "Reject", "Accept"}, st.Screen)
	require.NoError(t, r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 501, 0, 1)), "signing goes on")
	require.Empty(t, standing().Command)
}

// The operator's own reset is no alarm, down or up, now or at the next connection; a reset by another program is.
func TestOwnResetOfALedger(t *testing.T) {
	r := newLedgerRig(t)
	require.NoError(t, r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 100, 0, 1)))
	for _, level := range []int32{50, 500} {
		require.NoError(t, r.dev.Reset(t.Context(), level, nil))
		r.restart()
		require.Empty(t, r.s.Alarms(), "level %d", level)
	}
	require.Equal(t, "not_above", signer.ReasonOf(
		r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 500, 0, 2))), "the host went along")
	require.NoError(t, r.sign(tezos.Ed25519, payloadOf(tezos.Ed25519, tezos.Attestation, 501, 0, 1)))
	r.stop()
	other := newLedgerRigOn(t, r.sim) // another machine's Highwater, at the same device
	require.NoError(t, other.dev.Reset(t.Context(), 400, nil))
	other.stop()
	r.start()
	require.NotEmpty(t, r.s.Alarms())
	require.Equal(t, signer.AlarmBackwards, r.s.Alarms()[0].Name)
}
