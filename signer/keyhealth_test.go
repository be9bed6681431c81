package signer_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

func (h *host) health(pkh tezos.PublicKeyHash) signer.KeyHealth {
	h.t.Helper()
	got, err := h.s.KeyHealth(pkh)
	require.NoError(h.t, err)
	return got
}

// why is the health's reasons, the first first.
func why(h signer.KeyHealth) (out []signer.KeyReason) {
	for _, f := range h.Faults {
		out = append(out, f.Reason)
	}
	return out
}

// TestKeyHealthAgreesWithSign: in each state of the device, KeyHealth says what a request meets.
func TestKeyHealthAgreesWithSign(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	require.True(t, r.health(r.pkh()).CanSign())
	require.Equal(t, "left", r.health(r.pkh()).Device)
	r.mustSign(r.payload(tezos.Attestation, 11, 0, 1))
	for _, health := range []device.Health{
		device.Absent, device.Locked, device.WrongApp, device.NoApp, device.Busy, device.Broken,
	} {
		r.device.Become(health)
		got := r.health(r.pkh())
		require.Equal(t, []signer.KeyReason{signer.KeyReason(health)}, why(got), health)
		require.Equal(t, health, got.Health)
		require.Equal(t, "left", got.Unable().Device)
		require.Contains(t, got.Unable().Text, "device left is "+string(health))
		require.False(t, got.CanSign())
	}
	r.device.Become(device.Ready)
	require.True(t, r.health(r.pkh()).CanSign())

	r.device.Hold(newKey(t, tezos.Ed25519, 9)) // it was restored from another seed
	r.device.Become(device.Ready)
	got := r.health(r.pkh())
	require.Equal(t, []signer.KeyReason{signer.KeyNoDevice}, why(got))
	require.Equal(t, device.Absent, got.Health)
	require.Contains(t, got.Unable().Text, "no connected device holds the key")
	_, err := r.s.KeyHealth(newKey(t, tezos.P256, 8).PublicKey().Hash())
	require.Equal(t, signer.UnknownKey, signer.ReasonOf(err))
}

// TestAKeyThatItsDeviceDoesNotHold: the configuration names a key for a device that is ready and holds another one. A
// request gets no signature, and KeyHealth names the key's device.
func TestAKeyThatItsDeviceDoesNotHold(t *testing.T) {
	elsewhere := newKey(t, tezos.Ed25519, 5).PublicKey().Hash()
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
		c.Keys = []signer.KeyPolicy{{PKH: elsewhere, Devices: []string{"left"}}}
	})
	got := r.health(elsewhere)
	require.Equal(t, []signer.KeyReason{signer.KeyNoDevice}, why(got))
	require.Equal(t, "left", got.Unable().Device)
	require.Equal(t, "device left does not hold the key", got.Unable().Text)
	require.NotEmpty(t, got.Unable().Hint)
	_, err := r.ask(elsewhere, payloadOf(tezos.Ed25519, tezos.Block, 20, 0, 1))
	require.Error(t, err)
}

// TestASpareThatIsNone: a device that the configuration means for the key is ready, and does not hold the key. The key
// signs with the other device, and KeyHealth notes the spare with a next step, in whatever way it is meant.
func TestASpareThatIsNone(t *testing.T) {
	for name, devices := range map[string][]string{"named": {"left", "right"}, "any": nil} {
		t.Run(name, func(t *testing.T) {
			var spare *signertest.Device
			r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
				spare = newDevice("right", newKey(t, tezos.P256, 8))
				c.Devices = append(c.Devices, spare)
				c.Keys = []signer.KeyPolicy{{PKH: c.Devices[0].Keys()[0].PublicKey.Hash(), Devices: devices}}
			})
			got := r.health(r.pkh())
			require.True(t, got.CanSign())
			require.Equal(t, "left", got.Device)
			require.Len(t, got.NoSpares, 1)
			no := got.NoSpares[0]
			require.True(t, no.Note)
			require.Equal(t, signer.KeyNoDevice, no.Reason)
			require.Equal(t, "right", no.Device)
			require.Contains(t, no.Text, "device right is ready and does not hold the key")
			require.NotEmpty(t, no.Hint)
			reasons, notes := signer.Readiness(r.s.KeysHealth())
			require.Empty(t, reasons, "a note is no reason against readiness")
			require.Len(t, notes, 1)
			require.Equal(t, r.pkh(), notes[0].PKH)

			spare.Become(device.Absent)
			require.Empty(t, r.health(r.pkh()).NoSpares, "nobody knows what it holds")
			spare.Hold(newKey(t, tezos.Ed25519, 0))
			spare.Become(device.Ready)
			require.Empty(t, r.health(r.pkh()).NoSpares)
			require.Equal(t, []string{"right"}, r.health(r.pkh()).Spares)
		})
	}
}

// TestKeyHealthOfTheInstance: role, fence, held start and store are typed, and are no faults of the devices.
func TestKeyHealthOfTheInstance(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	for role, want := range map[hwm.Role]signer.KeyReason{hwm.Standby: signer.KeyStandby, hwm.Fenced: signer.KeyFenced} {
		_, err := r.s.Stand(t.Context(), role, "a reason")
		require.NoError(t, err)
		got := r.health(r.pkh())
		require.Equal(t, []signer.KeyReason{want}, why(got))
		require.Contains(t, got.Faults[0].Text, "a reason")
		require.Nil(t, got.Unable(), "given the right, it can sign")
		require.Empty(t, got.Own())
		_, err = r.sign(r.payload(tezos.Block, 20, 0, 1))
		require.ErrorContains(t, err, got.Faults[0].Text)
		_, err = r.s.Activate(nil, "again")
		require.NoError(t, err)
	}
	held := signer.New(signer.Config{Chain: ghost, Store: r.db, Devices: []signer.Device{r.device}, Hold: true})
	got, err := held.KeyHealth(r.pkh())
	require.NoError(t, err)
	require.Equal(t, []signer.KeyReason{signer.KeyWaiting}, why(got))

	r.stop()
	got = r.health(r.pkh())
	require.Equal(t, signer.KeyStore, got.Faults[0].Reason)
	require.Equal(t, signer.KeyStore, got.Unable().Reason, "the right to sign does not mend a store")
}

// TestANewKeyIsANote: it has no mark, so it cannot sign; readiness is about the other keys, as long as there are any.
func TestANewKeyIsANote(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	fresh := newKey(t, tezos.P256, 3)
	learn := func() { r.device.Become(device.Ready); r.s.Learn() }
	r.device.Hold(r.key, fresh)
	learn()
	got := r.health(fresh.PublicKey().Hash())
	require.True(t, got.New)
	require.Equal(t, []signer.KeyReason{signer.KeyNoMark}, why(got))
	require.False(t, got.CanSign())
	reasons, notes := signer.Readiness(r.s.KeysHealth())
	require.Empty(t, reasons)
	require.Len(t, notes, 1)
	require.Equal(t, fresh.PublicKey().Hash(), notes[0].PKH)

	r.device.Hold(r.key) // deleted again: nobody needs it
	learn()
	reasons, _ = signer.Readiness(r.s.KeysHealth())
	require.Empty(t, reasons)
	r.device.Hold(r.key, fresh)
	learn()

	// One mark of three: it is in service, and some of its requests are refused.
	half := hwm.Key{Chain: ghost, PKH: fresh.PublicKey().Hash(), Kind: tezos.Block}
	_, err := r.db.Raise([]hwm.Row{{Key: half, Mark: hwm.Floor(10, at, hwm.SourceSet)}})
	require.NoError(t, err)
	reasons, notes = signer.Readiness(r.s.KeysHealth())
	require.Empty(t, notes)
	require.Len(t, reasons, 1)
	require.Contains(t, reasons[0].Text, "preattestation")
}

// TestAKeyThatSignedElsewhereIsNotNew: its device tells of a level.
func TestAKeyThatSignedElsewhereIsNotNew(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	moved := newKey(t, tezos.P256, 3)
	r.device.Hold(r.key, moved)
	r.device.SetStatus(func(st *device.Status) { st.ID = "serial" })
	r.device.Become(device.Ready)
	r.s.Learn()
	require.NoError(t, r.db.SetSeen("serial", moved.PublicKey().Hash(), tezos.Block, hwm.Position{Level: 5}))
	require.False(t, r.health(moved.PublicKey().Hash()).New)
	reasons, _ := signer.Readiness(r.s.KeysHealth())
	require.Len(t, reasons, 1)
	require.Equal(t, signer.KeyNoMark, reasons[0].Reason)
}

// TestWithoutAnyMarkNothingIsReady: where every key is new, nothing can be signed, and that is no note.
func TestWithoutAnyMarkNothingIsReady(t *testing.T) {
	reasons, notes := signer.Readiness(
		[]signer.KeyHealth{{New: true, Faults: []signer.KeyFault{{Reason: signer.KeyNoMark, Note: true}}}})
	require.Len(t, reasons, 1)
	require.Empty(t, notes)
}

// TestASpareThatIsReadyMakesTheKeyReady: the first device is locked, and requests go to the second.
func TestASpareThatIsReadyMakesTheKeyReady(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	left, right := newDevice("left", key), newDevice("right", key)
	h := newHost(t, 0, func(c *signer.Config) { c.Devices = []signer.Device{left, right} })
	left.Become(device.Locked)
	got := h.health(key.PublicKey().Hash())
	require.True(t, got.CanSign())
	require.Equal(t, "right", got.Device)
	require.Equal(t, []string{"left"}, got.Spares)
	right.Become(device.Absent)
	require.Equal(t, "left", h.health(key.PublicKey().Hash()).Unable().Device)
}

// TestKeysHealthIsCheap: sixty-four keys cost a fraction of a millisecond each, and the devices are not asked.
func TestKeysHealthIsCheap(t *testing.T) {
	var keys []*softkey.Key
	for i := range 64 {
		k, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{byte(i + 1)}, softkey.MinSeed))
		require.NoError(t, err)
		keys = append(keys, k)
	}
	d := newDevice("left", keys...)
	busy, err := d.Turn(t.Context()) // somebody works with the device
	require.NoError(t, err)
	t.Cleanup(busy.Done)
	h := newHost(t, 0, func(c *signer.Config) { c.Devices = []signer.Device{d} })
	done := make(chan []signer.KeyHealth, 1)
	go func() { done <- h.s.KeysHealth() }()
	select {
	case got := <-done:
		require.Len(t, got, 64)
		require.True(t, got[63].CanSign())
	case <-time.After(10 * time.Second):
		t.Fatal("a question about health waits for the device")
	}
	require.Empty(t, d.Asks())
}

func BenchmarkKeysHealth(b *testing.B) {
	var keys []*softkey.Key
	for i := range 64 {
		k, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{byte(i + 1)}, softkey.MinSeed))
		require.NoError(b, err)
		keys = append(keys, k)
	}
	h := newHost(b, 0, func(c *signer.Config) { c.Devices = []signer.Device{newDevice("left", keys...)} })
	for b.Loop() {
		h.s.KeysHealth()
	}
}
