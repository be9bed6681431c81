package signer_test

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
)

// shared is a right whose answers a test decides.
type shared struct {
	mu     sync.Mutex
	floor  hwm.Position
	limit  int32
	lost   int // after so many questions nothing may be signed; zero: never
	asked  int
	wanted chan struct{}
}

func (r *shared) May(tezos.PublicKeyHash, tezos.Kind) (hwm.Position, int32, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.floor, r.limit, r.lost == 0 || r.asked <= r.lost
}

func (r *shared) Wanted() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

func (r *shared) Why() string { return "the register sleeps" }

func (r *shared) reach(limit int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = limit
}

func newSharedRig(t *testing.T, r *shared, config ...func(*signer.Config)) *rig {
	r.wanted = make(chan struct{}, 1)
	return newRig(t, tezos.Ed25519, append(config, func(c *signer.Config) { c.Right = r })...)
}

func TestARightBoundsWhatIsSigned(t *testing.T) {
	right := &shared{floor: hwm.Position{Level: 20, Round: math.MaxInt32}, limit: 30}
	r := newSharedRig(t, right)
	r.mustRefuse(block(20, 7, 1), "not_above")
	r.mustSign(block(21, 0, 1))
	r.mustSign(block(30, 0, 1))

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := r.s.Sign(ctx, r.pkh(), block(31, 0, 1))
	require.Equal(t, signer.AboveHorizon, signer.ReasonOf(err), "%v", err)
	require.ErrorContains(t, err, "the register sleeps", "the real reason is told when the budget has ended")
	require.Equal(t, hwm.Position{Level: 30}, r.at(tezos.Block), "a mark was spent")
	require.Equal(t, r.mustSign(block(30, 0, 1)), r.mustSign(block(30, 0, 1)), "a replay wants no right")
}

func TestARequestWaitsForTheRight(t *testing.T) {
	right := &shared{limit: 30}
	r := newSharedRig(t, right)
	done := make(chan error, 1)
	go func() {
		_, err := r.sign(block(31, 0, 1))
		done <- err
	}()
	select {
	case <-right.wanted:
	case err := <-done:
		require.NoError(t, err, "it did not wait")
	}
	right.reach(31)
	r.s.RightChanged()
	require.NoError(t, <-done)
}

func TestNobodyWaitsForALevelThatDoesNotCome(t *testing.T) {
	right := &shared{limit: 30}
	r := newSharedRig(t, right, func(c *signer.Config) {
		c.Head = func() *hwm.Known { return &hwm.Known{Level: 28, At: time.Now(), Node: true} }
	})
	r.mustRefuse(block(40, 0, 1), signer.AboveHorizon)
	require.Empty(t, right.wanted, "a client may keep others out for its whole budget")
}

func TestARightThatIsLostMeanwhile(t *testing.T) {
	right := &shared{limit: 30, lost: 1}
	r := newSharedRig(t, right)
	r.mustRefuse(block(21, 0, 1), signer.NotActive)
	require.Equal(t, int32(10), r.at(tezos.Block).Level, "a mark moved without the right")
	require.Empty(t, r.device.Asks(), "a device was asked without the right")
}

func TestAKeyIsNotReadyAboveTheRight(t *testing.T) {
	right, head := &shared{limit: 30}, int32(29)
	r := newSharedRig(t, right, func(c *signer.Config) {
		c.Head = func() *hwm.Known { return &hwm.Known{Level: head, At: time.Now(), Node: true} }
	})
	h, err := r.s.KeyHealth(r.pkh())
	require.NoError(t, err)
	require.Empty(t, h.Faults)
	head = 30
	h, err = r.s.KeyHealth(r.pkh())
	require.NoError(t, err)
	require.Len(t, h.Faults, 1)
	require.Equal(t, signer.KeyLevel, h.Faults[0].Reason)
	require.Contains(t, h.Faults[0].Text, "above the horizon 30")
}
