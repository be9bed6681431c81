package ledger_test

import (
	"context"
	"encoding/hex"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// hid serves a device as reports, anew for each connection, until the test ends.
func hid(t *testing.T, sim *ledgersim.Device) dialer {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return func(dial context.Context) (ledger.Transport, error) {
		host, gadget := net.Pipe()
		done.Go(func() { _ = ledgersim.ServeHID(ctx, gadget, sim) })
		return ledger.NewHID(dial, host, "usb 1-1")
	}
}

// dialer reaches one device; connector makes a dialer for an emulated device.
type (
	dialer    = func(context.Context) (ledger.Transport, error)
	connector = func(*testing.T, *ledgersim.Device) dialer
)

// everyTransport runs a test over each way to reach a device.
func everyTransport(t *testing.T, test func(t *testing.T, connect connector)) {
	for name, connect := range map[string]connector{
		"sim": func(_ *testing.T, d *ledgersim.Device) dialer { return d.Dial },
		"tcp": tcp,
		"hid": hid,
	} {
		t.Run(name, func(t *testing.T) { test(t, connect) })
	}
}

// blockHeader is a header of 234 bytes, the longest that Octez makes today: locked round and seed nonce hash are there.
func blockHeader(t *testing.T, chain tezos.ChainID, level int32) []byte {
	p, err := hex.DecodeString("11" + hex.EncodeToString(chain[:]) + hex.EncodeToString(be(level)) + "15" +
		strings.Repeat("aa", 32) +
		"00000000673c3900" + "04" + strings.Repeat("bb", 32) +
		"00000025" + "0000000102" + "00000004" + hex.EncodeToString(be(level)) + "0000000400000000" + "00000004ffffffff" +
		"0000000400000001" +
		strings.Repeat("cc", 32) + strings.Repeat("dd", 32) + "00000000" + "0102030405060708" + "ff" +
		strings.Repeat("ee", 32) + "0a")
	require.NoError(t, err)
	require.Len(t, p, 234)
	return p
}

func be(n int32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

func TestBakesOnEveryTransport(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect connector) {
		d := start(t, connect(t, newSim(t)))
		waitFor(t, d, device.Ready)
		key := d.Keys()[0]
		require.Equal(t, tezos.Kinds, key.Kinds)
		for level := int32(101); level < 121; level++ {
			for _, payload := range [][]byte{
				blockHeader(t, ghost, level), operation(tezos.Preattestation, ghost, level, 1), operation(tezos.Attestation,
					ghost, level, 1),
			} {
				sig, err := sign(t, d, payload)
				require.NoError(t, err)
				require.NoError(t, key.PublicKey.Verify(payload, sig))
			}
		}
		_, err := sign(t, d, operation(tezos.Preattestation, ghost, 120, 1))
		require.ErrorIs(t, err, device.ErrRefused)
		require.False(t, asError(t, err).Retry)
		require.False(t, asError(t, err).Asked)
		require.Equal(t, device.Ready, d.Status().Health)
	})
}

func TestHealthIsSeenWithinASecond(t *testing.T) {
	t.Run("sim", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			sim := newSim(t)
			healthIsSeen(t, sim, sim.Dial, time.Second)
		})
	})
	t.Run("hid", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			sim := newSim(t)
			healthIsSeen(t, sim, hid(t, sim), time.Second)
		})
	})
	t.Run("tcp", func(t *testing.T) {
		sim := newSim(t)
		healthIsSeen(t, sim, tcp(t, sim), 10*time.Second) // by a busy machine's clock; the others have one of their own
	})
}

func healthIsSeen(
	t *testing.T, sim *ledgersim.Device, dial dialer, within time.Duration,
) {
	d := start(t, dial, func(c *ledger.Config) { c.Tick, c.Probe = ledger.DefaultTick, ledger.DefaultProbe })
	waitFor(t, d, device.Ready)
	for _, step := range []struct {
		do     func()
		want   device.Health
		advice string
	}{
		{sim.Lock, device.Locked, "enter its PIN"},
		{sim.Unlock, device.Ready, ""},
		{sim.Quit, device.NoApp, "open the Tezos Baking app"},
		{sim.Open, device.Ready, ""},
		{func() { sim.OpenOther("Tezos Wallet") }, device.WrongApp, "quit the open app"},
		{sim.Open, device.Ready, ""},
		{func() { sim.Exchange([]byte{0x80, 0x0c, 0, 0}) }, device.Broken, "highwater ledger setup"},
	} {
		begin := time.Now()
		step.do()
		st := waitFor(t, d, step.want)
		require.Less(t, time.Since(begin), within)
		require.Contains(t, st.Advice, step.advice)
		require.Equal(t, step.want == device.Ready, st.Advice == "")
	}
}

func TestPromptLeftOpen(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect connector) {
		sim := newSim(t)
		d := start(t, connect(t, sim))
		waitFor(t, d, device.Ready)
		shown := make(chan string, 1)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- d.Reset(ctx, 200, func(text string) { shown <- text }) }()
		require.Contains(t, <-shown, "Reset HWM 200")
		require.Equal(t, device.Busy, d.Status().Health)
		require.Eventually(t, func() bool { _, ok := sim.Prompt(); return ok }, 5*time.Second, time.Millisecond)

		// Requests that arrive meanwhile wait, and are told what to do.
		short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := d.Turn(short)
		require.Equal(t, device.Busy, asError(t, err).Health)
		require.Contains(t, asError(t, err).Hint, "answer the prompt")
		waiting := make(chan error, 1)
		go func() {
			_, serr := sign(t, d, attestation(201))
			waiting <- serr
		}()

		// The host gives up; the device does not.
		leave()
		require.ErrorIs(t, <-left, ledger.ErrOnScreen)
		require.Equal(t, device.Busy, d.Status().Health)
		require.True(t, sim.Answer(ledgersim.Accept))
		require.NoError(t, <-waiting)
		waitFor(t, d, device.Ready)
		m, err := d.Marks(t.Context())
		require.NoError(t, err)
		require.Equal(t, ledger.Watermark{Level: 201}, m.Main)
	})
}

func TestRejectedPrompt(t *testing.T) {
	sim := newSim(t, func(o *ledgersim.Options) { o.Decide = ledgersim.Always(ledgersim.Reject) })
	d := start(t, sim.Dial)
	waitFor(t, d, device.Ready)
	err := d.Reset(t.Context(), 5, nil)
	require.ErrorIs(t, err, device.ErrRefused)
	require.ErrorContains(t, err, "rejected on the device")
	require.Equal(t, device.Ready, waitFor(t, d, device.Ready).Health)
	_, err = sign(t, d, attestation(101))
	require.NoError(t, err)
}

func TestSetUpFromNothing(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect connector) {
		sim := newSim(t, func(o *ledgersim.Options) { o.Setup, o.Decide = nil, ledgersim.Always(ledgersim.Accept) })
		d := start(t, connect(t, sim))
		st := waitFor(t, d, device.Broken)
		require.Contains(t, st.Advice, "highwater ledger setup")
		_, err := d.Setup(t.Context(), ledger.Setup{Curve: ledger.Secp256k1}, nil)
		require.ErrorContains(t, err, "with a chain id")
		key, err := d.Setup(t.Context(), ledger.Setup{Curve: ledger.Secp256k1, Chain: ghost, Main: 10}, nil)
		require.NoError(t, err)
		waitFor(t, d, device.Ready)
		require.Equal(t, key.Hash(), d.Keys()[0].PublicKey.Hash())
		in, err := d.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, "ledger://"+in.ID+"/secp256k1/0h/0h", in.Key.String())
		require.Equal(t, ghost, in.Marks.Chain)
		other, err := d.Authorize(t.Context(), ledger.P256, ledger.DefaultPath, nil)
		require.NoError(t, err)
		waitFor(t, d, device.Ready)
		require.Equal(t, other.Hash(), d.Keys()[0].PublicKey.Hash())
		shown, err := d.ShowKey(t.Context(), ledger.P256, ledger.DefaultPath, nil)
		require.NoError(t, err)
		require.Equal(t, other.Hash(), shown.Hash())
		require.NoError(t, d.Deauthorize(t.Context()))
		waitFor(t, d, device.Broken)
		require.Empty(t, d.Keys())
	})
}

// TestRefusesBeforeSending holds what must not reach the device.
func TestRefusesBeforeSending(t *testing.T) {
	var mu sync.Mutex
	var messages int
	sim := newSim(t, func(o *ledgersim.Options) {
		o.Trace = func(apdu, _ []byte) {
			mu.Lock()
			defer mu.Unlock()
			if apdu[1] == byte(ledger.InsSignWithHash) {
				messages++
			}
		}
	})
	d := start(t, sim.Dial)
	waitFor(t, d, device.Ready)
	long := append(blockHeader(t, ghost, 101), 0, 0)
	high := attestation(0x40000000)
	slotless := attestation(101)[:78]
	slotless[37] = 0x29
	for text, payload := range map[string][]byte{
		"236 bytes, and the app takes 235": long,
		"level 1073741824, and the app":    high,
		"operations are not sent":          {3, 1, 2, 3},
		"tag":                              slotless,
		"no bytes":                         {},
		"length":                           append(attestation(101), 0),
	} {
		_, err := sign(t, d, payload)
		require.ErrorIs(t, err, device.ErrRefused)
		require.ErrorContains(t, err, text)
		require.False(t, asError(t, err).Asked)
	}
	turn, err := d.Turn(t.Context())
	require.NoError(t, err)
	_, err = turn.Sign(t.Context(), tezos.PublicKeyHash{}, attestation(101))
	require.ErrorIs(t, err, device.ErrNoKey)
	turn.Done()
	mu.Lock()
	defer mu.Unlock()
	require.Zero(t, messages)
}

// TestFailedSelectIsNeverFollowed lets the select fail, with which the real app would sign for the key selected before.
func TestFailedSelectIsNeverFollowed(t *testing.T) {
	var mu sync.Mutex
	var seen []byte // P1 of the SIGN packets
	sim := newSim(t, func(o *ledgersim.Options) {
		o.Trace = func(apdu, _ []byte) {
			mu.Lock()
			defer mu.Unlock()
			if apdu[1] == byte(ledger.InsSignWithHash) {
				seen = append(seen, apdu[2])
			}
		}
	})
	d := start(t, sim.Dial)
	waitFor(t, d, device.Ready)
	for _, sw := range [][]byte{{0x6a, 0x80}, {0x6b, 0x00}, {0x90, 0x01}, {0x12, 0x34}, {0x55, 0x15}, {0x90}} {
		sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if apdu[1] == byte(ledger.InsSignWithHash) {
				return ledgersim.Fault{Garbage: sw}
			}
			return ledgersim.Fault{}
		})
		mu.Lock()
		seen = nil
		mu.Unlock()
		_, err := sign(t, d, attestation(101))
		require.Error(t, err)
		require.False(t, asError(t, err).Asked, "%x", sw)
		mu.Lock()
		require.Equal(t, -1, slices.Index(seen, 0x81), "%x", sw)
		mu.Unlock()
	}
	sim.SetFaults(nil)
	_, err := sign(t, d, attestation(101))
	require.NoError(t, err)
}

func TestPinnedToOneLedger(t *testing.T) {
	d := start(t, newSim(t).Dial, func(c *ledger.Config) { c.ID = "calculating-meerkat-straight-beetle" })
	st := waitFor(t, d, device.Absent)
	require.Eventually(t, func() bool { return strings.Contains(d.Status().Detail, "another Ledger is connected") },
		5*time.Second, time.Millisecond)
	require.Equal(t, device.Absent, st.Health)
	require.Empty(t, d.Keys())
}

func TestSimulatedLedgerWithThreeKeys(t *testing.T) {
	sim := newSim(t, func(o *ledgersim.Options) {
		o.Setup = []ledgersim.Setup{
			{Curve: ledger.Ed25519, Chain: ghost},
			{Curve: ledger.Secp256k1, Chain: ghost},
			{Curve: ledger.P256, Chain: ghost},
		}
	})
	d := start(t, sim.Dial)
	waitFor(t, d, device.Ready)
	require.Len(t, d.Keys(), 3)
	for _, k := range d.Keys() {
		turn, err := d.Turn(t.Context())
		require.NoError(t, err)
		for level := int32(1); level < 4; level++ { // each has marks of its own
			payload := attestation(level)
			sig, err := turn.Sign(t.Context(), k.PublicKey.Hash(), payload)
			require.NoError(t, err)
			require.NoError(t, k.PublicKey.Verify(payload, sig))
		}
		turn.Done()
	}
	require.Len(t, sim.Authorized(), 3)
	require.Equal(t, uint32(3), sim.Authorized()[2].Marks.Main.Level)
	over := start(t, tcp(t, sim))
	waitFor(t, over, device.Ready)
	require.Len(t, over.Keys(), 1, "the wire protocol knows one")
}
