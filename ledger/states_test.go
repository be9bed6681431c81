package ledger_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// scripted answers by the first two bytes of a command; it stands for apps that the emulator does not know.
type scripted map[string][]byte

func (s scripted) Exchange(_ context.Context, apdu []byte) ([]byte, error) {
	if out, ok := s[string(apdu[:2])]; ok {
		return out, nil
	}
	return []byte{0x6d, 0x00}, nil
}
func (s scripted) Where() string { return "scripted" }
func (s scripted) Close() error  { return nil }

func TestAppsThatAreNotOurs(t *testing.T) {
	name := func(n string) []byte {
		return append(append([]byte{1, byte(len(n))}, n...), 1, '1', 0x90, 0)
	}
	for _, c := range []struct {
		answers scripted
		want    device.Health
		advice  string
	}{
		{scripted{"\xb0\x01": name("Tezos Wallet (XTZ)")}, device.WrongApp, "quit the open app"},
		{scripted{"\xb0\x01": name("Bitcoin")}, device.WrongApp, "quit the open app"},
		{scripted{"\xb0\x01": name("BOLOS")}, device.NoApp, "open the Tezos Baking app"},
		{scripted{"\xb0\x01": {0x6e, 0x00}, "\x80\x00": {0x6e, 0x01}}, device.WrongApp, "quit the open app"},
		{scripted{"\xb0\x01": {0x65, 0x11}, "\x80\x00": {0x65, 0x11}}, device.NoApp, "open the Tezos Baking app"},
		{scripted{"\xb0\x01": name("Tezos Baking"), "\x80\x00": {0, 2, 5, 0, 0x90, 0}}, device.WrongApp, "quit the open app"},
		{
			scripted{"\xb0\x01": name("Tezos Baking"), "\x80\x00": {1, 1, 5, 0, 0x90, 0}},
			device.Broken,
			"update the Tezos Baking app",
		},
		{scripted{"\xb0\x01": name("Tezos Baking"), "\x80\x00": {1, 2, 0x90, 0}}, device.Absent, "plug the Ledger in"},
	} {
		d := start(t, func(context.Context) (ledger.Transport, error) { return c.answers, nil })
		require.Eventually(t, func() bool { return d.Status().Health == c.want && d.Status().Detail != "" },
			5*time.Second, time.Millisecond,
			"%v %v", c.answers, d.Status())
		require.Contains(t, d.Status().Advice, c.advice)
	}
}

// unknown is a device whose app says that it has a version that was never seen.
type unknown struct{ ledger.Transport }

func (u unknown) Exchange(ctx context.Context, apdu []byte) ([]byte, error) {
	out, err := u.Transport.Exchange(ctx, apdu)
	if err == nil && apdu[0] == 0x80 && apdu[1] == 0x00 {
		out = []byte{1, 2, 9, 1, 0x90, 0}
	}
	return out, err
}

func TestUnknownVersionIsUsedAndSaid(t *testing.T) {
	sim := newSim(t)
	d := start(t, func(context.Context) (ledger.Transport, error) { return unknown{sim.Connect()}, nil })
	st := waitFor(t, d, device.Ready)
	require.Equal(t, "Tezos Baking 2.9.1", st.App)
	require.Contains(t, st.Detail, "version 2.9.1 of the app is not known here")
	_, err := sign(t, d, attestation(101))
	require.NoError(t, err)
}

func TestWantedKey(t *testing.T) {
	sim := newSim(t)
	want, err := ledger.ParseLocator("ledger://" + name(t, sim) + "/secp256k1/0h/0h")
	require.NoError(t, err)
	d := start(t, sim.Dial, func(c *ledger.Config) { c.Want = []ledger.Locator{want} })
	advice := waitFor(t, d, device.Broken).Advice
	require.Contains(t, advice, "authorise the key of the config")
	require.Contains(t, advice, "highwater ledger setup --device left --key secp256k1/0h/0h --hwm head+10",
		"without its key, ed25519 would be set up")
	require.Contains(t, advice, "highwater ledger authorize --device left --key secp256k1/0h/0h")
	want.Curve = ledger.Ed25519
	d = start(t, sim.Dial, func(c *ledger.Config) { c.Want, c.ID = []ledger.Locator{want}, want.Device })
	waitFor(t, d, device.Ready)
	require.Equal(t, want.String(), d.Keys()[0].Alias)
}

// name is a device's four words.
func name(t *testing.T, sim *ledgersim.Device) string {
	root, err := sim.PublicKey(ledger.Ed25519, ledger.Root)
	require.NoError(t, err)
	return ledger.DeviceName(root.Hash())
}

func TestEmulatedDeviceRefusesTheMainnet(t *testing.T) {
	sim := newSim(t, func(o *ledgersim.Options) {
		o.Setup[0].Chain, o.Decide = tezos.ChainID{}, ledgersim.Always(ledgersim.Accept)
	})
	d := start(t, sim.Dial, func(c *ledger.Config) { c.Chain = tezos.Mainnet })
	st := waitFor(t, d, device.Ready)
	require.Contains(t, st.Note(), "without a chain id")
	require.Contains(t, st.Note(), "highwater ledger setup --device left --key ed25519/0h/0h --hwm ")
	_, err := sign(t, d, operation(tezos.Attestation, tezos.Mainnet, 101, 0))
	require.ErrorIs(t, err, device.ErrRefused)
	require.ErrorContains(t, err, "an emulated device does not sign for the mainnet")
	_, err = d.Setup(t.Context(), ledger.Setup{Chain: tezos.Mainnet}, nil)
	require.ErrorContains(t, err, "an emulated device does not sign for the mainnet")
}

// TestHalfACommandOfADeadHost: the first report of the next host is swallowed, but for the ping.
func TestHalfACommandOfADeadHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		host, gadget := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- ledgersim.ServeHID(context.Background(), gadget, sim) }()
		half := make([]byte, ledger.ReportSize)
		copy(half, []byte{1, 1, 5, 0, 0, 0, 0x55, 0x80, 4, 0x81, 0, 0x50})
		_, err := host.Write(half)
		require.NoError(t, err)
		tr, err := ledger.NewHID(t.Context(), host, "usb")
		require.NoError(t, err)
		out, err := tr.Exchange(t.Context(), []byte{0x80, 0, 0, 0, 0})
		require.NoError(t, err)
		require.Equal(t, []byte{1, 2, 5, 0, 0x90, 0}, out)
		require.NoError(t, tr.Close())
		require.ErrorContains(t, <-served, "EOF")
	})
}

// TestPromptOfADeadHost: no echo comes while a prompt stands, and the late answer is nobody's.
func TestPromptOfADeadHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		connect := hid(t, sim)
		first, err := connect(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = first.Exchange(ctx, []byte{0x80, 0x06, 0, 0, 4, 0, 0, 0, 200})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, first.Close())

		d := start(t, connect)
		st := waitFor(t, d, device.Busy)
		require.Contains(t, st.Detail, "no echo to a ping")
		require.Contains(t, st.Advice, "answer the prompt")
		require.True(t, sim.Answer(ledgersim.Accept))
		waitFor(t, d, device.Ready)
		_, err = sign(t, d, attestation(201))
		require.NoError(t, err)
	})
}

// TestLateAnswerOfADeadHost: the answer to another host's prompt is not taken for the answer to our first command.
func TestLateAnswerOfADeadHost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		require.NoError(t, sim.Connect().Send([]byte{0x80, 0x06, 0, 0, 4, 0, 0, 0, 200}))
		d := start(t, sim.Dial)
		begin := time.Now()
		require.Contains(t, waitFor(t, d, device.Busy).Advice, "answer the prompt")
		require.Less(t, time.Since(begin), time.Second)
		require.True(t, sim.Answer(ledgersim.Accept))
		waitFor(t, d, device.Ready)
		_, err := sign(t, d, attestation(201))
		require.NoError(t, err)
	})
}

// TestLockedForHours keeps one connection, and does not open and close the device four times a second.
func TestLockedForHours(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		sim.Lock()
		dials := 0
		d := start(t, func(ctx context.Context) (ledger.Transport, error) {
			dials++
			return sim.Dial(ctx)
		}, func(c *ledger.Config) { c.Tick = ledger.DefaultTick })
		require.Equal(t, "the device is locked: enter its PIN", waitFor(t, d, device.Locked).Advice)
		<-time.After(time.Hour)
		require.Equal(t, 1, dials)
		sim.Unlock()
		waitFor(t, d, device.Ready)
		require.Equal(t, 1, dials)
	})
}

// TestRegistering signs a reveal, which nobody is asked about, and a delegation, which is shown.
func TestRegistering(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		d := start(t, sim.Dial, func(c *ledger.Config) { c.AllowOperations = true })
		waitFor(t, d, device.Ready)
		key := d.Keys()[0].PublicKey
		head := func(tag byte) []byte {
			op := append([]byte{3}, make([]byte, 32)...)
			op = append(append(op, tag), key.Hash().Bytes()...)
			return append(op, 0xa0, 0x0a, 5, 0x90, 0x4e, 0)
		}
		reveal := append(append(head(0x6b), 0), key.Bytes()...)
		sig, err := sign(t, d, reveal)
		require.NoError(t, err)
		require.NoError(t, key.Verify(reveal, sig))

		delegation := append(append(head(0x6e), 0xff), key.Hash().Bytes()...)
		go func() {
			<-time.After(30 * time.Second) // of the bubble's clock: the user takes the time
			sim.Answer(ledgersim.Accept)
		}()
		turn, err := d.Turn(t.Context())
		require.NoError(t, err)
		sig, err = turn.Sign(t.Context(), key.Hash(), delegation)
		turn.Done()
		require.NoError(t, err)
		require.NoError(t, key.Verify(delegation, sig))
		waitFor(t, d, device.Ready)
	})
}

// TestOverdueAnswerIsSaid: the status tells within a second, and the answer is still waited for and read.
func TestOverdueAnswerIsSaid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		dials := 0
		d := start(t, func(ctx context.Context) (ledger.Transport, error) {
			dials++
			return sim.Dial(ctx)
		})
		waitFor(t, d, device.Ready)
		sim.SetFaults(func([]byte) ledgersim.Fault { return ledgersim.Fault{Delay: 3 * time.Second} })
		begin := time.Now()
		require.Contains(t, waitFor(t, d, device.Busy).Detail, "no answer to QUERY_AUTH_KEY_WITH_CURVE yet")
		require.Less(t, time.Since(begin), time.Second)
		sim.SetFaults(nil)
		waitFor(t, d, device.Ready)
		require.Equal(t, 1, dials)
	})
}

// TestRefusedPrompt: a command that the app refuses without a prompt leaves no prompt behind.
func TestRefusedPrompt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		d := start(t, sim.Dial, func(c *ledger.Config) { c.Probe = time.Hour })
		waitFor(t, d, device.Ready)
		sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if apdu[1] == byte(ledger.InsReset) {
				return ledgersim.Fault{CutBefore: true}
			}
			return ledgersim.Fault{}
		})
		require.Equal(t, device.Absent, asError(t, d.Reset(t.Context(), 5, nil)).Health)
		waitFor(t, d, device.Ready)
		sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if apdu[1] == byte(ledger.InsSetup) {
				go sim.Answer(ledgersim.Reject)
				return ledgersim.Fault{Garbage: []byte{0x6a, 0x80}}
			}
			return ledgersim.Fault{}
		})
		_, err := d.Setup(t.Context(), ledger.Setup{Chain: ghost, Main: 5}, nil)
		require.ErrorIs(t, err, device.ErrRefused)
		waitFor(t, d, device.Ready)
	})
}

// TestLatencies holds the presets to what was measured.
func TestLatencies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for curve, want := range map[ledger.Curve]time.Duration{
			ledger.Ed25519: 465 * time.Millisecond,
			ledger.P256:    226 * time.Millisecond,
		} {
			sim := newSim(t, func(o *ledgersim.Options) { o.Latency, o.Setup[0].Curve = ledgersim.NanoSPlus, curve })
			d := start(t, sim.Dial)
			waitFor(t, d, device.Ready)
			begin := time.Now()
			_, err := sign(t, d, attestation(101))
			require.NoError(t, err)
			require.Equal(t, want, time.Since(begin))
		}
	})
}

// TestKeysOutliveTheConnection: what the signer lists does not vanish with the cable.
func TestKeysOutliveTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sim := newSim(t)
		gone := false
		d := start(t, func(ctx context.Context) (ledger.Transport, error) {
			if gone {
				return nil, errors.New("no such device")
			}
			return sim.Dial(ctx)
		})
		waitFor(t, d, device.Ready)
		gone = true
		sim.Unplug()
		require.Contains(t, waitFor(t, d, device.Absent).Advice, "plug the Ledger in")
		require.Len(t, d.Keys(), 1)
	})
}

// TestReconnectionsDeriveOneKey: a slow device needs a second for each, and its authorised key tells which device it
// is.
func TestReconnectionsDeriveOneKey(t *testing.T) {
	var derived atomic.Int32
	sim := newSim(t, func(o *ledgersim.Options) {
		o.Decide = ledgersim.Always(ledgersim.Accept)
		o.Trace = func(apdu, _ []byte) {
			if apdu[0] == 0x80 && apdu[1] == byte(ledger.InsPublicKey) {
				derived.Add(1)
			}
		}
	})
	connections := &book{}
	d := start(t, sim.Dial, func(c *ledger.Config) { c.ID, c.Reconciler = name(t, sim), connections })
	waitFor(t, d, device.Ready)
	require.Equal(t, int32(2), derived.Load())
	for i := range int32(3) {
		sim.Unplug()
		require.Eventually(t, func() bool {
			connections.mu.Lock()
			defer connections.mu.Unlock()
			return len(connections.seen) == int(i)+2
		}, 10*time.Second, time.Millisecond)
		require.Equal(t, name(t, sim), waitFor(t, d, device.Ready).ID)
		require.Equal(t, i+3, derived.Load())
	}
	// Another key tells nothing.
	_, err := d.Authorize(t.Context(), ledger.P256, ledger.DefaultPath, nil)
	require.NoError(t, err)
	require.Equal(t, name(t, sim), waitFor(t, d, device.Ready).ID)
	require.Equal(t, int32(5+2), derived.Load())
}

// TestKnownKeyOfAnotherDevice: a device with another seed at the same path is another device.
func TestKnownKeyOfAnotherDevice(t *testing.T) {
	right, wrong := newSim(t), newSim(t, func(o *ledgersim.Options) { o.Seed = "another seed" })
	var other atomic.Bool
	d := start(t, func(ctx context.Context) (ledger.Transport, error) {
		if other.Load() {
			return wrong.Dial(ctx)
		}
		return right.Dial(ctx)
	}, func(c *ledger.Config) { c.ID = name(t, right) })
	waitFor(t, d, device.Ready)
	other.Store(true)
	right.Unplug()
	require.Eventually(t, func() bool {
		return strings.Contains(d.Status().Detail, "another Ledger is connected: "+name(t, wrong))
	}, 10*time.Second, time.Millisecond)
	other.Store(false)
	waitFor(t, d, device.Ready)
}

// TestSlowDeviceIsNoPrompt: nobody is sent to look for a prompt because a key takes its time.
func TestSlowDeviceIsNoPrompt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var slow atomic.Int64
		sim := newSim(t)
		sim.SetFaults(func(apdu []byte) ledgersim.Fault {
			if apdu[0] == 0x80 && apdu[1] == byte(ledger.InsPublicKey) {
				return ledgersim.Fault{Delay: time.Duration(slow.Load())}
			}
			return ledgersim.Fault{}
		})
		slow.Store(int64(2 * time.Second))
		d := start(t, sim.Dial)
		for st := d.Status(); st.Health != device.Ready; st = d.Status() {
			require.NotEqual(t, device.Busy, st.Health)
			changed := d.Changed()
			if d.Status() == st {
				<-changed
			}
		}
		slow.Store(int64(4 * time.Second))
		sim.Unplug()
		st := waitFor(t, d, device.Busy)
		require.Contains(t, st.Advice, "slow")
		require.NotContains(t, st.Advice, "prompt")
		waitFor(t, d, device.Ready)
	})
}
