package signer_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// gadgetRig is a host with a real driver and an emulated TezSign that holds one key.
type gadgetRig struct {
	*host
	sim *tezsignsim.Gadget
	dev *tezsign.Device // the driver since the last start
	pkh tezos.PublicKeyHash
}

func newGadgetRig(t *testing.T) *gadgetRig {
	sim, err := tezsignsim.New(tezsignsim.Options{Serial: "ts-1", Keys: []string{"consensus"}, Passphrase: "secret"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	r := &gadgetRig{sim: sim}
	r.host = newHost(t, 1, func(c *signer.Config) {
		r.dev = tezsign.New(tezsign.Config{
			Name: "left", Serial: "ts-1", Open: sim.Open, Chain: ghost, Log: slog.New(slog.DiscardHandler),
			Passphrase: tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) { return []byte("secret"), nil }),
		})
		r.dev.SetTiming(2*time.Millisecond, 5*time.Millisecond)
		c.Devices = []signer.Device{r.dev}
	})
	r.pkh = r.s.Keys()[0].PKH
	return r
}

func (r *gadgetRig) sign(kind tezos.Kind, level, round int32) error {
	_, err := r.ask(r.pkh, payloadOf(tezos.BLS12381, kind, level, round, 1))
	return err
}

// restartForgotten is a start of the host and of the gadget, which lost its own marks.
func (r *gadgetRig) restartForgotten() {
	r.stop()
	require.NoError(r.t, r.sim.LoseState("consensus"))
	require.NoError(r.t, r.sim.PowerCycle())
	r.start()
}

// elsewhere uses the gadget at another host, while this one is stopped.
func (r *gadgetRig) elsewhere(use func(*tezsign.Device)) {
	other := tezsign.New(tezsign.Config{
		Name: "elsewhere", Serial: "ts-1", Open: r.sim.Open, Chain: ghost, Log: slog.New(slog.DiscardHandler),
		Passphrase: tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) { return []byte("secret"), nil }),
	})
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	running.Go(func() { other.Run(ctx) })
	require.Eventually(r.t, func() bool { return other.Status().Health == device.Ready }, 10*time.Second, time.Millisecond)
	use(other)
	cancel()
	running.Wait()
}

// levels are the gadget's own.
func (r *gadgetRig) levels() (out []int32) {
	keys, err := r.dev.KeyStates(r.t.Context())
	require.NoError(r.t, err)
	for _, m := range keys[0].Marks {
		out = append(out, m.Level)
	}
	return out
}

// An attestation was interrupted between its mark and the gadget, the process ended, and the gadget lost its own marks.
// When it is raised again, the request that is asked once more for the same bytes must not be lost to that.
func TestAnInterruptedRequestIsNotLostToRaisingTheGadget(t *testing.T) {
	r := newGadgetRig(t)
	require.NoError(t, r.sign(tezos.Block, 100, 0))
	require.NoError(t, r.sign(tezos.Preattestation, 100, 0))
	// The mark alone is durable: what a process leaves that is killed before the gadget has the request.
	payload := payloadOf(tezos.BLS12381, tezos.Attestation, 100, 0, 1)
	req, err := tezos.Decode(tezos.BLS12381, payload)
	require.NoError(t, err)
	key := hwm.Key{Chain: ghost, PKH: r.pkh, Kind: tezos.Attestation}
	pending, err := r.db.Advance(key, hwm.MarkFor(req, at))
	require.NoError(t, err)
	require.NoError(t, pending.Wait())
	r.restartForgotten()
	require.Equal(t, []int32{99, 99, 99}, r.levels(), "raised as far as nothing is lost")
	require.NoError(t, r.sign(tezos.Attestation, 100, 0), "the same bytes")
	require.Equal(t, "not_above", signer.ReasonOf(r.sign(tezos.Attestation, 99, 5)))

	// Once it is signed, there is nothing left to keep room for.
	r.restartForgotten()
	require.Equal(t, []int32{100, 100, 100}, r.levels())
	require.NoError(t, r.sign(tezos.Attestation, 101, 0))
}

// After a takeover the host's marks are floors above all that the gadget knows: it is raised to them without a
// reconnection.
func TestAGadgetIsRaisedToNewFloors(t *testing.T) {
	r := newGadgetRig(t)
	require.NoError(t, r.sign(tezos.Attestation, 20, 0))
	_, err := r.db.Raise(r.s.Floors(500, hwm.SourceTakeover))
	require.NoError(t, err)
	out := r.s.RaiseDevices(t.Context())
	want := device.Standing{PKH: r.pkh, Level: 500, Allowed: 500, Raised: true}
	require.Equal(t, []signer.DeviceMarks{{Device: "left", Keys: []device.Standing{want}}}, out)
	require.Equal(t, []int32{500, 500, 500}, r.levels())
	want.Raised = false
	require.Equal(t, want, r.s.RaiseDevices(t.Context())[0].Keys[0], "again: nothing is left to do")
	require.NoError(t, r.sign(tezos.Attestation, 501, 0))

	// The host is never raised by it, and a key that is locked is named, with what to do.
	_, err = r.dev.Lock(t.Context(), []string{"consensus"})
	require.NoError(t, err)
	locked := r.s.RaiseDevices(t.Context())[0]
	require.Empty(t, locked.Keys)
	require.Equal(t, "the device is locked", locked.Problem)
	require.Contains(t, locked.Advice, "highwater tezsign unlock")
	r.sim.Unplug()
	require.Eventually(t, func() bool { return r.dev.Status().Health == device.Absent }, 10*time.Second, time.Millisecond)
	require.Equal(t, "the device is absent", r.s.RaiseDevices(t.Context())[0].Problem)
}

// A gadget that is in the middle of a signature is waited for, and one that cannot be raised says so.
func TestAGadgetThatCannotBeRaised(t *testing.T) {
	r := newGadgetRig(t)
	_, err := r.db.Raise(r.s.Floors(500, hwm.SourceTakeover))
	require.NoError(t, err)
	busy, err := r.sim.Open(t.Context(), "ts-1") // another program holds the management interface
	require.NoError(t, err)
	held, err := busy.Claim(t.Context(), tezsign.ManageInterface)
	require.NoError(t, err)
	st := r.s.RaiseDevices(t.Context())[0].Keys[0]
	require.NoError(t, held.Close())
	require.NoError(t, busy.Close())
	require.False(t, st.Raised)
	require.Less(t, st.Level, st.Allowed)
	require.Contains(t, st.Why, "could not be raised")
	require.Equal(t, "highwater tezsign set-level --device left consensus --level 500", st.Command)
	require.NoError(t, r.sign(tezos.Attestation, 501, 0), "it is the second line: signing goes on")
}

// Our own set-level takes the host along, and is no alarm, now or at the next connection; so is the repair of a key
// whose state is corrupted.
func TestOwnSetLevelOfAGadget(t *testing.T) {
	r := newGadgetRig(t)
	for _, kind := range tezos.Kinds {
		require.NoError(t, r.sign(kind, 100, 0))
	}
	require.NoError(t, r.dev.SetLevel(t.Context(), "consensus", 200, tezsign.LevelOptions{HostMark: 100}))
	require.Equal(t, "not_above", signer.ReasonOf(r.sign(tezos.Attestation, 200, 0)),
		"refused by the host, before the gadget")
	require.NoError(t, r.sign(tezos.Attestation, 201, 0))
	r.restart()
	require.Empty(t, r.s.Alarms())

	r.sim.Unplug()
	require.NoError(t, r.sim.CorruptState("consensus", false))
	require.NoError(t, r.sim.Replug())
	require.Eventually(t, func() bool { return r.dev.Status().Health == device.Broken }, 10*time.Second, time.Millisecond)
	require.NoError(t, r.dev.SetLevel(t.Context(), "consensus", 300, tezsign.LevelOptions{HostMark: 201, Repair: true}))
	require.Equal(t, "not_above", signer.ReasonOf(r.sign(tezos.Block, 300, 0)))
	require.Eventually(t, func() bool { return r.sign(tezos.Block, 301, 0) == nil }, 10*time.Second, time.Millisecond)
	r.restart()
	require.Empty(t, r.s.Alarms())
}

// A device that is locked, or was not looked for yet, is why no key is known: it is not to be connected.
func TestWhyNoKeyIsKnown(t *testing.T) {
	for word, st := range map[string]device.Status{
		"highwater tezsign unlock consensus": {Health: device.Locked, Advice: "highwater tezsign unlock consensus"},
		"wait some seconds":                  {Health: device.Absent, Advice: device.NotLookedFor},
		"plug the gadget in":                 {Health: device.Absent, Advice: "plug the gadget in"},
	} {
		d := &statusOnly{Device: newDevice("left"), st: st}
		s := signer.New(signer.Config{Chain: ghost, Store: signertest.NewStore(0), Devices: []signer.Device{d}})
		denial := s.NoKeys("nothing could be signed")
		require.Contains(t, denial.Hint, word)
		require.Contains(t, denial.Text, "the device left")
	}
}

type statusOnly struct {
	*signertest.Device
	st device.Status
}

func (s *statusOnly) Status() device.Status { return s.st }
