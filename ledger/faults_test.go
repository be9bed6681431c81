package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// witness remembers what the device signed, and fails the test when it signs one thing twice.
type witness struct {
	mu     sync.Mutex
	signed [][]byte
	after  map[byte]int // status of the last select, by its first byte; only 90 may be followed by a message
	faulty []string
}

func (w *witness) trace(apdu, answer []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(apdu) < 5 || apdu[1] != byte(ledger.InsSignWithHash) {
		return
	}
	if apdu[2] == 0x00 {
		w.after = map[byte]int{answer[len(answer)-2]: 1}
		return
	}
	if w.after[0x90] == 0 {
		w.faulty = append(w.faulty, "a message without a good select before it")
	}
	if len(answer) > 2 {
		for _, old := range w.signed {
			if bytes.Equal(old, apdu[5:]) {
				w.faulty = append(w.faulty, "the same bytes were signed twice")
			}
		}
		w.signed = append(w.signed, bytes.Clone(apdu[5:]))
	}
}

func (w *witness) has(payload []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.signed {
		if bytes.Equal(s, payload) {
			return true
		}
	}
	return false
}

// persist asks for a signature as the signer does: again for the same bytes while the error says that it may help.
func persist(t *testing.T, d *ledger.Device, w *witness, payload []byte) (sig tezos.Signature, err error) {
	asked := false
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		turn, terr := d.Turn(ctx)
		if terr != nil {
			cancel()
			require.True(t, asError(t, terr).Retry, "%v", terr)
			continue
		}
		sig, err = turn.Sign(ctx, d.Keys()[0].PublicKey.Hash(), payload)
		turn.Done()
		cancel()
		if err == nil {
			return sig, nil
		}
		de := asError(t, err)
		if w.has(payload) && !asked {
			require.True(t, de.Asked, "the device has signed, and nobody says so: %v", err)
		}
		asked = asked || de.Asked
		if !de.Retry {
			return sig, err
		}
	}
	return sig, err
}

// faults are what can go wrong with one exchange.
var faults = map[string]ledgersim.Fault{
	"cut before": {CutBefore: true},
	"cut after":  {CutAfter: true},
	"lost":       {Drop: true},
	"late":       {Delay: 7 * time.Second},
	"twice":      {Duplicate: true},
	"garbage":    {Garbage: []byte{1, 2, 3, 0x90, 0}},
	"empty":      {Garbage: []byte{}},
}

// sweep injects a fault at the i-th exchange, i = 0, 1, 2 …, until a run is not hit by it any more. After each, what
// was answered verifies, nothing was signed twice, what the device signed without an answer was said to be in doubt,
// and the device comes back.
func sweep(t *testing.T, fault ledgersim.Fault, connect connector,
	run func(*testing.T, func(*testing.T)),
) {
	var hit atomic.Bool
	hit.Store(true)
	for at := 0; hit.Swap(false); at++ {
		run(t, func(t *testing.T) {
			w := &witness{}
			sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
			count := 0
			sim.SetFaults(func([]byte) ledgersim.Fault {
				count++
				if count-1 == at {
					hit.Store(true)
					return fault
				}
				return ledgersim.Fault{}
			})
			d := start(t, connect(t, sim), func(c *ledger.Config) { c.Probe = time.Hour })
			for level := int32(101); level < 104; level++ {
				payload := attestation(level)
				sig, err := persist(t, d, w, payload)
				if err != nil {
					require.ErrorIs(t, err, device.ErrRefused)
					require.True(t, w.has(payload), "refused, but never signed: %v", err)
					continue
				}
				require.NoError(t, d.Keys()[0].PublicKey.Verify(payload, sig))
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			require.Empty(t, w.faulty)
			require.Len(t, w.signed, 3)
		})
		require.Less(t, at, 100)
	}
}

// bubble runs with a clock of its own.
func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

func TestFaultsAtEveryExchange(t *testing.T) {
	for name, fault := range faults {
		t.Run(name+"/sim", func(t *testing.T) {
			sweep(t, fault, func(_ *testing.T, d *ledgersim.Device) dialer { return d.Dial }, bubble)
		})
		t.Run(name+"/hid", func(t *testing.T) { sweep(t, fault, hid, bubble) })
	}
}

// TestFaultsOverTCP leaves out what only time shows, and what the framing cannot carry.
func TestFaultsOverTCP(t *testing.T) {
	for _, name := range []string{"cut before", "cut after", "garbage", "twice"} {
		t.Run(name, func(t *testing.T) { sweep(t, faults[name], tcp, func(t *testing.T, f func(*testing.T)) { f(t) }) })
	}
}

// emulator is a TCP emulator that can be killed and started again at the same address.
type emulator struct {
	sim  *ledgersim.Device
	addr string
	mu   sync.Mutex
	stop func()
}

func (e *emulator) start(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", e.address())
	if err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = ledgersim.ServeTCP(ctx, l, e.sim)
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addr = l.Addr().String()
	e.stop = func() { cancel(); <-done }
}

func (e *emulator) address() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.addr
}

func (e *emulator) kill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
}

// TestEmulatorKilledAtEveryExchange kills the emulator, power and all, before and after each command, and starts it
// again.
func TestEmulatorKilledAtEveryExchange(t *testing.T) {
	for _, fault := range []ledgersim.Fault{{CutBefore: true}, {CutAfter: true}} {
		for at, hit := 0, true; hit; at++ {
			require.Less(t, at, 100)
			hit = killedAt(t, at, fault)
		}
	}
}

// killedAt kills the emulator at the at-th command, and tells whether there was one.
func killedAt(t *testing.T, at int, fault ledgersim.Fault) (hit bool) {
	w := &witness{}
	sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
	e := &emulator{sim: sim, addr: "127.0.0.1:0"}
	e.start(t)
	killed := make(chan struct{})
	count := 0
	sim.SetFaults(func([]byte) ledgersim.Fault {
		count++
		if count-1 != at {
			return ledgersim.Fault{}
		}
		hit = true
		close(killed)
		return fault
	})
	restarted := make(chan struct{})
	finish := make(chan struct{})
	go func() {
		defer close(restarted)
		select {
		case <-killed:
			e.kill()
			sim.PowerCycle()
			e.start(t)
		case <-finish:
		}
	}()
	d := start(t, func(ctx context.Context) (ledger.Transport, error) { return ledger.DialTCP(ctx, e.address()) },
		func(c *ledger.Config) { c.Probe = time.Hour })
	for level := int32(101); level < 104; level++ {
		payload := attestation(level)
		sig, err := persist(t, d, w, payload)
		if err != nil {
			require.ErrorIs(t, err, device.ErrRefused)
			require.True(t, w.has(payload))
			continue
		}
		require.NoError(t, d.Keys()[0].PublicKey.Verify(payload, sig))
	}
	close(finish)
	<-restarted
	e.kill()
	w.mu.Lock()
	require.Empty(t, w.faulty)
	require.Len(t, w.signed, 3)
	w.mu.Unlock()
	return hit
}

// TestLockedInTheMiddle locks between select and message.
func TestLockedInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		d := start(t, sim.Dial)
		waitFor(t, d, device.Ready)
		sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if apdu[1] == byte(ledger.InsSignWithHash) && apdu[2] == 0x00 {
				go sim.Lock()
				return ledgersim.Fault{Delay: 10 * time.Millisecond}
			}
			return ledgersim.Fault{}
		})
		_, err := sign(t, d, attestation(101))
		de := asError(t, err)
		require.Equal(t, device.Locked, de.Health)
		require.True(t, de.Retry)
		require.False(t, de.Asked, "a locked device signs nothing")
		require.Equal(t, "the device is locked: enter its PIN", de.Hint)
		waitFor(t, d, device.Locked)
		sim.SetFaults(nil)
		sim.Unlock()
		_, err = sign(t, d, attestation(101))
		require.NoError(t, err)
	})
}

// TestForgottenMark has the device forget its mark at a power cut, as it does with its HWM setting off.
func TestForgottenMark(t *testing.T) {
	for _, hwm := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			sim := newSim(t)
			sim.SetHWM(hwm)
			book := &book{}
			d := start(t, sim.Dial, func(c *ledger.Config) { c.Reconciler = book })
			_, err := sign(t, d, attestation(150))
			require.NoError(t, err)
			sim.PowerCycle()
			require.Eventually(t, func() bool {
				book.mu.Lock()
				defer book.mu.Unlock()
				return len(book.seen) == 2 // it is connected again
			}, time.Minute, time.Millisecond)
			_, err = persist(t, d, &witness{}, attestation(150))
			require.Equal(t, hwm, errors.Is(err, device.ErrRefused), "the device alone protects only with the setting on")
			last := book.last()
			require.Len(t, last, 1)
			require.Equal(t, tezos.Kind(0), last[0].Kind)
			require.Equal(t, map[bool]int32{true: 150, false: 100}[hwm], last[0].Level)
		})
	}
}

// book is a reconciler that remembers, and answers as it is told.
type book struct {
	mu    sync.Mutex
	seen  [][]device.Mark
	raise []device.Mark
	alarm string
	err   error
}

func (b *book) Reconcile(_ context.Context, _ string, marks []device.Mark) ([]device.Mark, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, marks)
	raise := slices.Clone(b.raise)
	for i := range raise {
		raise[i].PKH = marks[0].PKH
	}
	return raise, b.alarm, b.err
}

func (b *book) last() []device.Mark {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[len(b.seen)-1]
}

func TestReconciler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t, func(o *ledgersim.Options) { o.Setup[0].Test = 7 })
		b := &book{alarm: "the mark went backwards", raise: []device.Mark{{Level: 140}}}
		d := start(t, sim.Dial, func(c *ledger.Config) { c.Reconciler = b })
		st := waitFor(t, d, device.Ready)
		require.Equal(t, "the mark went backwards", st.Alarm)
		require.Contains(t, st.Detail, "`highwater ledger reset --device left --level 140`")
		require.Equal(t, int32(100), b.last()[0].Level)
		m, err := d.Marks(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint32(100), m.Main.Level, "a Ledger is never raised unattended")

		// One that is not behind is not to be lowered.
		b.mu.Lock()
		b.raise[0].Level = 100
		b.mu.Unlock()
		sim.Unplug()
		require.Eventually(t, func() bool {
			return d.Status().Health == device.Ready &&
				!strings.Contains(d.Status().Detail, "reset")
		},
			10*time.Second, time.Millisecond)

		// A host that cannot record does not use the device.
		b.mu.Lock()
		b.err = errors.New("disk full")
		b.mu.Unlock()
		sim.Unplug()
		require.Contains(t, waitFor(t, d, device.Broken).Detail, "disk full")

		// On another chain it is the other mark that counts.
		other := &book{}
		e := start(t, newSim(t, func(o *ledgersim.Options) { o.Setup[0].Test = 7 }).Dial, func(c *ledger.Config) {
			c.Reconciler, c.Chain = other, tezos.ChainID{9}
		})
		require.Contains(t, waitFor(t, e, device.Ready).Detail, "our chain shares the mark")
		require.Equal(t, int32(7), other.last()[0].Level)
	})
}

func TestSilentDeviceIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		d := start(t, sim.Dial)
		waitFor(t, d, device.Ready)
		sim.SetFaults(func([]byte) ledgersim.Fault { return ledgersim.Fault{Drop: true} })
		begin := time.Now()
		_, err := sign(t, d, attestation(101))
		require.Error(t, err)
		require.Less(t, time.Since(begin), 12*time.Second)
		require.Contains(t, waitFor(t, d, device.Busy).Detail, "within 5s")
	})
}
