package ledger_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var zebra = strings.TrimSpace(strings.Repeat("zebra ", 24))

// ghost is a test chain.
var ghost = tezos.ChainID{1, 2, 3, 4}

func newSim(t *testing.T, change ...func(*ledgersim.Options)) *ledgersim.Device {
	opt := ledgersim.Options{Seed: zebra, Setup: []ledgersim.Setup{{Curve: ledger.Ed25519, Chain: ghost, Main: 100}}}
	for _, c := range change {
		c(&opt)
	}
	sim, err := ledgersim.New(opt)
	require.NoError(t, err)
	return sim
}

// start runs a driver until the test ends. Its time-outs are short enough for tests, and long enough for a busy
// machine.
func start(t *testing.T, dial dialer, change ...func(*ledger.Config)) *ledger.Device {
	cfg := ledger.Config{Name: "left", Dial: dial, Chain: ghost, Tick: 2 * time.Millisecond, Probe: 5 * time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	d, err := ledger.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { d.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return d
}

// waitFor waits for a state and gives its status.
func waitFor(t *testing.T, d *ledger.Device, want device.Health) device.Status {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		changed := d.Changed()
		st := d.Status()
		if st.Health == want {
			return st
		}
		select {
		case <-changed:
		case <-timeout:
			require.Equal(t, want, st.Health, "%+v", st)
		}
	}
}

// tcp serves a device on a socket until the test ends, and gives a dialer.
func tcp(t *testing.T, sim *ledgersim.Device) dialer {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = ledgersim.ServeTCP(ctx, l, sim) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return func(ctx context.Context) (ledger.Transport, error) { return ledger.DialTCP(ctx, l.Addr().String()) }
}

// attestation of a tz1–tz3 key.
func operation(kind tezos.Kind, chain tezos.ChainID, level, round int32) []byte {
	return baker.Step{Chain: chain, Kind: kind, Level: level, Round: round}.Payload(tezos.Ed25519)
}

func attestation(level int32) []byte { return operation(tezos.Attestation, ghost, level, 0) }

// sign takes a turn and signs with the only key.
func sign(t *testing.T, d *ledger.Device, payload []byte) (tezos.Signature, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	turn, err := d.Turn(ctx)
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.Done()
	return turn.Sign(ctx, d.Keys()[0].PublicKey.Hash(), payload)
}

func asError(t *testing.T, err error) *device.Error {
	t.Helper()
	var de *device.Error
	require.True(t, errors.As(err, &de), "%v", err)
	return de
}

func TestSigns(t *testing.T) {
	for _, curve := range []ledger.Curve{ledger.Ed25519, ledger.Secp256k1, ledger.P256, ledger.BIP25519} {
		t.Run(curve.String(), func(t *testing.T) {
			sim := newSim(t, func(o *ledgersim.Options) { o.Setup[0].Curve = curve })
			d := start(t, tcp(t, sim))
			st := waitFor(t, d, device.Ready)
			require.Equal(t, "Tezos Baking 2.5.0", st.App)
			require.Len(t, d.Keys(), 1)
			for level := int32(101); level < 140; level++ {
				payload := attestation(level)
				sig, err := sign(t, d, payload)
				require.NoError(t, err)
				require.NoError(t, d.Keys()[0].PublicKey.Verify(payload, sig))
			}
			_, err := sign(t, d, attestation(139))
			require.ErrorIs(t, err, device.ErrRefused)
			require.False(t, asError(t, err).Retry)
		})
	}
}
