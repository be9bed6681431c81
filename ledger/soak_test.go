package ledger_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// accidents are what happens to a device while it bakes. Each ends by itself.
var accidents = []func(*rand.Rand, *ledgersim.Device){
	func(_ *rand.Rand, sim *ledgersim.Device) { sim.Unplug() },
	func(_ *rand.Rand, sim *ledgersim.Device) { sim.PowerCycle() },
	func(r *rand.Rand, sim *ledgersim.Device) { sim.Lock(); after(r, sim.Unlock) },
	func(r *rand.Rand, sim *ledgersim.Device) { sim.Quit(); after(r, sim.Open) },
	func(r *rand.Rand, sim *ledgersim.Device) { sim.OpenOther("Bitcoin"); after(r, sim.Open) },
	func(r *rand.Rand, sim *ledgersim.Device) {
		once := true
		fault := []ledgersim.Fault{
			{CutBefore: true},
			{CutAfter: true},
			{Drop: true},
			{Delay: 6 * time.Second},
			{Garbage: []byte{7, 0x90, 0}},
		}[r.IntN(5)]
		skip := r.IntN(4)
		sim.SetFaults(func([]byte) ledgersim.Fault {
			if skip--; skip >= 0 || !once {
				return ledgersim.Fault{}
			}
			once = false
			return fault
		})
	},
	func(r *rand.Rand, sim *ledgersim.Device) {
		// Another host left a prompt on the screen, and the user rejects it after a while.
		_ = sim.Connect().Send([]byte{0x80, 0x06, 0, 0, 4, 0, 0, 0, 1}) // a displaced or busy device drops it
		after(r, func() { sim.Answer(ledgersim.Reject) })
	},
}

func after(r *rand.Rand, f func()) {
	time.AfterFunc(time.Duration(r.IntN(5000))*time.Millisecond, f)
}

// TestSoak bakes 500 levels with an accident at every tenth step. What was answered verifies; nothing is signed
// twice; what is refused, the device had signed before its answer was lost; and nothing else is refused.
func TestSoak(t *testing.T) {
	for name, connect := range map[string]connector{
		"sim": func(_ *testing.T, d *ledgersim.Device) dialer { return d.Dial },
		"hid": hid,
	} {
		for seed := range uint64(3) {
			t.Run(name, func(t *testing.T) { bubble(t, func(t *testing.T) { soak(t, seed, connect) }) })
		}
	}
}

func soak(t *testing.T, seed uint64, connect connector) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &witness{}
	sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
	d := start(t, connect(t, sim), func(c *ledger.Config) { c.Tick, c.Probe = ledger.DefaultTick, ledger.DefaultProbe })
	waitFor(t, d, device.Ready)
	answered, lost := 0, 0
	for level := int32(101); level < 601; level++ {
		round := r.Int32N(2)
		for _, kind := range tezos.Kinds {
			if r.IntN(10) == 0 {
				accidents[r.IntN(len(accidents))](r, sim)
			}
			payload := operation(kind, ghost, level, round)
			if kind == tezos.Block {
				payload = blockHeader(t, ghost, level)
				payload[len(payload)-1-32-1-8-4-32-32-1] = byte(round) // the last byte of the fitness
				payload[len(payload)-1-32-1-8-1] = 0
				payload = withoutLockedRound(payload)
			}
			sig, err := persist(t, d, w, payload)
			if err != nil {
				require.ErrorIs(t, err, device.ErrRefused)
				require.True(t, w.has(payload), "refused, but never signed: %v", err)
				lost++
				continue
			}
			require.NoError(t, d.Keys()[0].PublicKey.Verify(payload, sig))
			answered++
		}
	}
	require.Equal(t, 1500, answered+lost)
	require.Positive(t, lost, "no accident hit an answer: the test is too kind")
	require.Less(t, lost, 100)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Empty(t, w.faulty)
}

// withoutLockedRound cuts the locked round out of a header's fitness.
func withoutLockedRound(p []byte) []byte {
	const fitness, locked = 83, 83 + 4 + 5 + 8
	out := append([]byte{}, p[:fitness]...)
	out = append(out, 0, 0, 0, 33)
	out = append(out, p[fitness+4:locked]...)
	out = append(out, 0, 0, 0, 0)
	return append(out, p[locked+8:]...)
}
