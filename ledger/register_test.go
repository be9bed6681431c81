package ledger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// registration is an operation by which a key registers: a reveal (6b) or a delegation (6e).
func registration(tag byte, key *tezos.PublicKey) []byte {
	op := append([]byte{3}, make([]byte, 32)...)
	op = append(append(op, tag), key.Hash().Bytes()...)
	op = append(op, 0xa0, 0x0a, 5, 0x90, 0x4e, 0)
	if tag == 0x6b {
		return append(append(op, byte(key.Curve())), key.Bytes()...)
	}
	return append(append(op, 0xff), key.Hash().Bytes()...)
}

func operations(c *ledger.Config) { c.AllowOperations = true }

// delegate asks for a delegation in a goroutine, as a request does, and gives its error; the prompt is shown then.
func delegate(ctx context.Context, t *testing.T, sim *ledgersim.Device, d *ledger.Device) <-chan error {
	waitFor(t, d, device.Ready)
	key := d.Keys()[0].PublicKey
	out := make(chan error, 1)
	go func() {
		turn, err := d.Turn(ctx)
		if err == nil {
			_, err = turn.Sign(ctx, key.Hash(), registration(0x6e, key))
			turn.Done()
		}
		out <- err
	}()
	require.Eventually(t, func() bool { _, ok := sim.Prompt(); return ok }, 5*time.Second, time.Millisecond)
	return out
}

// TestDelegationOutlivesItsRequest: the request ends with its budget, the prompt does not; what is answered late is
// nobody's, above all not the next command's.
func TestDelegationOutlivesItsRequest(t *testing.T) {
	for _, decision := range []ledgersim.Decision{ledgersim.Accept, ledgersim.Reject} {
		everyTransport(t, func(t *testing.T, connect connector) {
			w := &witness{}
			sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
			book := &book{}
			d := start(t, connect(t, sim), operations, func(c *ledger.Config) { c.Reconciler = book })
			ctx, leave := context.WithCancel(t.Context())
			left := delegate(ctx, t, sim, d)
			leave()
			err := <-left
			require.ErrorIs(t, err, ledger.ErrOnScreen)
			require.True(t, asError(t, err).Asked)
			require.False(t, asError(t, err).Retry, "nothing is asked again: the prompt would be shown twice")
			require.Contains(t, asError(t, err).Hint, "reject the prompt")
			require.Equal(t, device.Busy, d.Status().Health)

			waiting := make(chan error, 1)
			go func() {
				sig, serr := sign(t, d, attestation(101))
				if serr == nil {
					serr = d.Keys()[0].PublicKey.Verify(attestation(101), sig)
				}
				waiting <- serr
			}()
			require.False(t, w.has(attestation(101)))
			require.True(t, sim.Answer(decision))
			require.NoError(t, <-waiting)
			waitFor(t, d, device.Ready)
			w.mu.Lock()
			defer w.mu.Unlock()
			require.Empty(t, w.faulty)
			book.mu.Lock()
			defer book.mu.Unlock()
			require.Len(t, book.seen, 2, "the marks are compared again: a delegation resets a round")
		})
	}
}

// TestStoppingLeavesAPrompt: callers are sent away at once, and Run ends, although nobody answers the prompt.
func TestStoppingLeavesAPrompt(t *testing.T) {
	for name, ask := range map[string]func(*testing.T, *ledgersim.Device, *ledger.Device) <-chan error{
		"delegation": func(t *testing.T, sim *ledgersim.Device, d *ledger.Device) <-chan error {
			return delegate(t.Context(), t, sim, d)
		},
		"reset": func(t *testing.T, sim *ledgersim.Device, d *ledger.Device) <-chan error {
			out := make(chan error, 1)
			go func() { out <- d.Reset(t.Context(), 200, nil) }()
			require.Eventually(t, func() bool { _, ok := sim.Prompt(); return ok }, 5*time.Second, time.Millisecond)
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			sim := newSim(t)
			cfg := ledger.Config{Name: "left", Dial: tcp(t, sim), Chain: ghost, AllowOperations: true, Tick: time.Millisecond}
			d, err := ledger.New(cfg)
			require.NoError(t, err)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); d.Run(ctx) }()
			left := ask(t, sim, d)
			d.Leave()
			select {
			case err = <-left:
				require.ErrorIs(t, err, ledger.ErrOnScreen)
				require.ErrorContains(t, err, "the signer is stopping")
			case <-time.After(5 * time.Second):
				require.Fail(t, "the caller waits for the user")
			}
			stop()
			select {
			case <-done:
			case <-time.After(5 * time.Second):
				require.Fail(t, "the driver waits for the user")
			}
			_, shown := sim.Prompt()
			require.True(t, shown)
		})
	}
}

// TestRevealOfTodayIsRefusedFirst: the app cannot read it, and so it is not asked.
func TestRevealOfTodayIsRefusedFirst(t *testing.T) {
	sim := newSim(t)
	d := start(t, sim.Dial, operations)
	waitFor(t, d, device.Ready)
	key := d.Keys()[0].PublicKey
	reveal, delegation := registration(0x6b, key), registration(0x6e, key)
	_, err := sign(t, d, reveal)
	require.NoError(t, err)
	sim.SetFaults(func(apdu []byte) ledgersim.Fault {
		if apdu[1] == byte(ledger.InsSignWithHash) {
			t.Error("the device was asked")
		}
		return ledgersim.Fault{}
	})
	today := slices.Concat(reveal, []byte{0})
	for _, payload := range [][]byte{today, slices.Concat(today, delegation[33:])} {
		_, err = sign(t, d, payload)
		require.ErrorIs(t, err, device.ErrRefused)
		require.ErrorContains(t, err, "protocol Seoul and later")
		require.Contains(t, asError(t, err).Hint, "reveal the key with a wallet app")
	}
	// nothing that is no registration
	for _, payload := range [][]byte{{3}, reveal[:60], registration(0x6c, key), append(delegation, 0)} {
		_, err = sign(t, d, payload)
		require.ErrorIs(t, err, device.ErrRefused)
	}
}

// TestOwnMarkIsKnown: what the device's own mark surely refuses is refused before anything is sent, and what it may
// sign is not.
func TestOwnMarkIsKnown(t *testing.T) {
	w := &witness{}
	sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
	d := start(t, sim.Dial)
	check := func(payload []byte) error {
		turn, err := d.Turn(t.Context())
		require.NoError(t, err)
		defer turn.Done()
		return turn.(device.Checker).Check(d.Keys()[0].PublicKey.Hash(), payload)
	}
	waitFor(t, d, device.Ready)
	for _, kind := range tezos.Kinds {
		require.ErrorIs(t, check(operation(kind, ghost, 99, 7)), device.ErrRefused)
	}
	require.ErrorIs(t, check(operation(tezos.Block, ghost, 100, 0)), device.ErrRefused)
	require.NoError(t, check(operation(tezos.Preattestation, ghost, 100, 0)), "it may be open")
	require.NoError(t, check(attestation(100)))
	require.NoError(t, check(operation(tezos.Block, ghost, 100, 1)))

	_, err := sign(t, d, operation(tezos.Attestation, ghost, 120, 3))
	require.NoError(t, err)
	err = check(operation(tezos.Preattestation, ghost, 120, 2))
	require.ErrorIs(t, err, device.ErrRefused)
	require.ErrorContains(t, err, "the device's own water mark is at level 120, round 3")
	require.ErrorIs(t, check(operation(tezos.Preattestation, ghost, 120, 3)), device.ErrRefused,
		"an attestation closes it")
	require.NoError(t, check(operation(tezos.Block, ghost, 121, 0)), "the round begins anew")
	require.ErrorIs(t, check(operation(tezos.Block, ghost, 0x40000000, 0)), device.ErrRefused)
	require.NoError(t, check(operation(tezos.Block, ghost, 0x3fffffff, 0)))
	require.NoError(t, check(blockHeader(t, ghost, 121)), "234 bytes")
	require.NoError(t, check(append(blockHeader(t, ghost, 121), 0)), "235 bytes")
	require.ErrorContains(t, check(append(blockHeader(t, ghost, 121), 0, 0)), "236 bytes")
}
