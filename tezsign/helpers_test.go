package tezsign_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testChain is not mainnet, which the simulator refuses.
var testChain = tezos.ChainID{1, 2, 3, 4}

// payload makes a tz4 (pre)attestation or a block, of bytes that vary with salt.
func payload(kind tezos.Kind, level, round int32, salt byte) []byte {
	return baker.Step{Chain: testChain, Kind: kind, Level: level, Round: round, Variant: salt}.Payload(tezos.BLS12381)
}

// newSim makes a gadget that fails the test if its host broke a rule of the device.
func newSim(t testing.TB, o tezsignsim.Options) *tezsignsim.Gadget {
	t.Helper()
	g, err := tezsignsim.New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, g.Close())
		require.Empty(t, g.Violations())
	})
	return g
}

// lab is a device that runs against a gadget.
type lab struct {
	*tezsign.Device
	t   testing.TB
	sim *tezsignsim.Gadget
}

func start(t testing.TB, sim *tezsignsim.Gadget, change ...func(*tezsign.Config)) *lab {
	t.Helper()
	return startWith(t, sim, nil, change...)
}

func startWith(t testing.TB, sim *tezsignsim.Gadget, r device.Reconciler, change ...func(*tezsign.Config)) *lab {
	t.Helper()
	cfg := tezsign.Config{Name: "left", Open: sim.Open, Chain: testChain, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	d := tezsign.New(cfg)
	d.SetTiming(20*time.Millisecond, 20*time.Millisecond)
	if cfg.Name == slowProbes {
		d.SetTiming(20*time.Millisecond, time.Hour)
	}
	if r != nil {
		d.SetReconciler(r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return &lab{Device: d, t: t, sim: sim}
}

// slowProbes is the name of a device that looks at an idle gadget once in an hour.
const slowProbes = "slow"

// until waits for the device's status to fit.
func (l *lab) until(what string, fits func(device.Status) bool) device.Status {
	l.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		changed := l.Changed()
		st := l.Status()
		if fits(st) {
			return st
		}
		select {
		case <-changed:
		case <-timeout:
			require.FailNow(l.t, "never "+what, "status %+v", l.Status())
		}
	}
}

func (l *lab) health(h device.Health) device.Status {
	l.t.Helper()
	return l.until(string(h), func(s device.Status) bool { return s.Health == h })
}

// key gives a key by its alias, once the device has it.
func (l *lab) key(alias string) device.Key {
	l.t.Helper()
	var out device.Key
	l.until("has the key "+alias, func(device.Status) bool {
		for _, k := range l.Keys() {
			if k.Alias == alias {
				out = k
				return true
			}
		}
		return false
	})
	return out
}

// sign takes a turn for one signature, which it verifies.
func (l *lab) sign(alias string, p []byte) error {
	l.t.Helper()
	k := l.key(alias)
	ctx, cancel := context.WithTimeout(l.t.Context(), 15*time.Second)
	defer cancel()
	turn, err := l.Turn(ctx)
	if err != nil {
		return err
	}
	defer turn.Done()
	sig, err := turn.Sign(ctx, k.PublicKey.Hash(), p)
	if err != nil {
		require.True(l.t, sig.IsZero())
		return err
	}
	require.NoError(l.t, k.PublicKey.Verify(p, sig))
	return nil
}

// bubble runs a test on a clock of its own, so that time-outs cost nothing.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

// pause lets time go by on a bubble's clock.
func pause(d time.Duration) { <-time.After(d) }

// lockedSim makes a gadget with keys that are locked, under the passphrase "secret".
func lockedSim(t testing.TB, aliases ...string) *tezsignsim.Gadget {
	t.Helper()
	sim := newSim(t, tezsignsim.Options{
		Serial: "ts-1", Keys: aliases, Passphrase: "secret", DeriveCost: 500 * time.Millisecond,
	})
	require.NoError(t, sim.PowerCycle())
	return sim
}

// deviceError asserts that err is a *device.Error.
func deviceError(t testing.TB, err error) *device.Error {
	t.Helper()
	var de *device.Error
	require.ErrorAs(t, err, &de)
	return de
}

func pass(text string) tezsign.PassphraseSource {
	return tezsign.PassphraseFunc(func(context.Context, string) ([]byte, error) { return []byte(text), nil })
}

// withSecret unlocks the keys of lockedSim.
func withSecret(c *tezsign.Config) { c.Passphrase = pass("secret") }

// countAsks is a source of a passphrase that counts how often it is asked.
type countAsks struct {
	text  string
	asked atomic.Int32
}

func (c *countAsks) Passphrase(context.Context, string) ([]byte, error) {
	c.asked.Add(1)
	return []byte(c.text), nil
}
