package signer_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// 1. Monotonic: at, below and beside the mark nothing new is signed; the same bytes get the same signature.
func TestMonotonic(t *testing.T) {
	eachCurve(t, func(t *testing.T, r *rig) {
		for _, kind := range tezos.Kinds {
			first := r.mustSign(r.payload(kind, 100, 2, 1))
			asks := len(r.device.Asks())
			require.True(t, first.Equal(r.mustSign(r.payload(kind, 100, 2, 1))), "the same bytes, another signature")
			require.Len(t, r.device.Asks(), asks, "a replay asked the device")
			r.mustRefuse(r.payload(kind, 100, 2, 9), "conflict")
			r.mustRefuse(r.payload(kind, 100, 1, 1), "not_above")
			r.mustRefuse(r.payload(kind, 99, 7, 1), "not_above")
			r.mustRefuse(r.payload(kind, 0, 0, 1), "not_above")
			require.Len(t, r.device.Asks(), asks, "a refused payload reached the device")
			r.mustSign(r.payload(kind, 100, 3, 1))
			r.mustRefuse(r.payload(kind, 100, 2, 1), "not_above") // what was signed before the mark moved on
			r.mustSign(r.payload(kind, 101, 0, 1))
		}
		require.Equal(t, int32(101), r.at(tezos.Block).Level)
	})
}

// The whole range of levels: a difference of two of them does not fit.
func TestMonotonicAtTheEnds(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	_, err := r.db.Raise([]hwm.Row{{Key: r.mark(tezos.Block), Mark: hwm.Floor(math.MaxInt32-1, at, hwm.SourceSet)}})
	require.NoError(t, err)
	r.mustSign(r.payload(tezos.Block, math.MaxInt32, 0, 1))
	for _, level := range []int32{0, 1, 10, 11, math.MaxInt32 - 1} {
		r.mustRefuse(r.payload(tezos.Block, level, 0, 1), "not_above")
	}
	_, err = r.sign(r.payload(tezos.Block, -1, 0, 1))
	require.ErrorIs(t, err, tezos.ErrPayload)
	_, err = r.sign(r.payload(tezos.Attestation, 20, -1, 1))
	require.ErrorIs(t, err, tezos.ErrPayload)
}

// All forms of an attestation are one kind, with one mark; the kinds are independent of each other.
func TestKinds(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Attestation, 50, 0, 1))
	r.mustRefuse(withDAL(50, 0, 1), "conflict")
	r.mustRefuse(withDAL(49, 0, 1), "not_above")
	r.mustSign(withDAL(51, 0, 1))
	r.mustRefuse(r.payload(tezos.Attestation, 51, 0, 1), "conflict")
	r.mustSign(r.payload(tezos.Preattestation, 50, 0, 1))
	r.mustSign(r.payload(tezos.Block, 50, 0, 1))
	rows, err := r.db.Rows()
	require.NoError(t, err)
	require.Len(t, rows, 3, "block, preattestation, attestation")
}

// 5. One active signer: after a start nothing is signed in an epoch of another owner, nor before the other instance was
// asked where there is one, whatever the durable role was.
func TestAStartThatDoesNotSign(t *testing.T) {
	hold := false
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { c.Hold = hold })
	r.mustSign(r.payload(tezos.Block, 20, 0, 1))
	hold = true
	r.restart()
	require.False(t, r.s.Active())
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), "not_active") // not even what was signed already
	r.mustRefuse(r.payload(tezos.Block, 21, 0, 1), "not_active")
	floor := []hwm.Row{{Key: r.mark(tezos.Block), Mark: hwm.Floor(20, at, hwm.SourcePeer)}}
	bad := []hwm.Row{{Key: r.mark(tezos.Block), Mark: hwm.Floor(-1, at, hwm.SourcePeer)}}
	require.Error(t, r.s.Resume(bad))
	require.False(t, r.s.Active(), "what the other instance knows is not kept")
	require.NoError(t, r.s.Resume(floor))
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), "not_above")
	r.mustSign(r.payload(tezos.Block, 21, 0, 1))

	hold = false
	ceiling := hwm.CeilingChange{
		Key:     hwm.CeilingKey{Chain: ghost, PKH: r.pkh()},
		Ceiling: &hwm.Ceiling{Level: 30, At: at, Source: hwm.SourcePeer},
	}
	_, err := r.s.Become(t.Context(), hwm.RoleRecord{Role: hwm.Active, Epoch: 2, Owner: hwm.InstanceID{9}}, nil, ceiling)
	require.NoError(t, err)
	r.mustSign(r.payload(tezos.Block, 22, 0, 1)) // up to its ceiling, in the process that gave the right away
	r.restart()
	require.False(t, r.s.Active())
	r.mustRefuse(r.payload(tezos.Block, 23, 0, 1), "not_active")
	require.ErrorIs(t, r.s.Resume(nil), signer.ErrNotOwner)
	require.False(t, r.s.Active())
	require.Equal(t, int32(22), r.at(tezos.Block).Level)
}

// checkedDevice is one whose turns call check when a request was decided and its mark is about to move.
type checkedDevice struct {
	*signertest.Device
	check func()
}

func (d *checkedDevice) Turn(ctx context.Context) (device.Turn, error) {
	turn, err := d.Device.Turn(ctx)
	return checkedTurn{turn, d.check}, err
}

type checkedTurn struct {
	device.Turn
	check func()
}

func (t checkedTurn) Check(tezos.PublicKeyHash, []byte) error {
	t.check()
	return nil
}

// 5. A request that was decided before a cut-over by level does not move its mark after it: neither above the ceiling
// of its key, nor where the cut-over knew nothing of the key.
func TestDecidedBeforeACutOver(t *testing.T) {
	for name, ceilings := range map[string][]int32{"below": {19}, "no ceiling": nil} {
		t.Run(name, func(t *testing.T) {
			d := &checkedDevice{check: func() {}}
			r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
				d.Device, _ = c.Devices[0].(*signertest.Device)
				c.Devices = []signer.Device{d}
			})
			before := r.at(tezos.Block)
			d.check = sync.OnceFunc(func() {
				var changes []hwm.CeilingChange
				for _, level := range ceilings {
					changes = append(changes, hwm.CeilingChange{
						Key:     hwm.CeilingKey{Chain: ghost, PKH: r.pkh()},
						Ceiling: &hwm.Ceiling{Level: level, At: at, Source: hwm.SourcePeer},
					})
				}
				_, err := r.s.Become(t.Context(),
					hwm.RoleRecord{Role: hwm.Active, Epoch: r.db.Role().Epoch + 1, Owner: hwm.InstanceID{9}}, nil, changes...)
				require.NoError(t, err)
			})
			_, err := r.sign(r.payload(tezos.Block, 20, 0, 1))
			require.Error(t, err)
			require.Empty(t, d.Asks())
			require.Equal(t, before, r.at(tezos.Block))
		})
	}
}

// The same bytes get the stored signature over restarts, byte for byte, without a device.
func TestReplayOverRestarts(t *testing.T) {
	eachCurve(t, func(t *testing.T, r *rig) {
		sig := r.mustSign(r.payload(tezos.Block, 20, 1, 1))
		asks := len(r.device.Asks())
		for range 3 {
			r.restart()
			r.device.Become(device.Absent)
			require.True(t, sig.Equal(r.mustSign(r.payload(tezos.Block, 20, 1, 1))))
			r.mustRefuse(r.payload(tezos.Block, 20, 1, 2), "conflict")
			r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), "not_above")
			r.device.Become(device.Ready)
		}
		require.Len(t, r.device.Asks(), asks)
		r.mustSign(r.payload(tezos.Block, 20, 2, 1))
	})
}

// lost makes the device sign and lose the answer, so that nothing comes of the request and its one more try.
func (r *rig) lost(payload []byte) {
	r.t.Helper()
	r.device.Script(func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
		return tezos.Signature{}, &device.Error{
			Device: "left", Health: device.Absent, Retry: true, Asked: true, Err: errors.New("answer lost"),
		}
	})
	before := len(r.device.Asks())
	_, err := r.sign(payload)
	require.ErrorContains(r.t, err, "answer lost")
	require.Len(r.t, r.device.Asks(), before+2, "asked once, and once more")
	r.device.Script(nil)
}

// Within the process that made the mark, the device is asked again for exactly these bytes, and for no others.
func TestResumeWithinTheProcess(t *testing.T) {
	eachCurve(t, func(t *testing.T, r *rig) {
		r.lost(r.payload(tezos.Block, 20, 0, 1))
		r.mustRefuse(r.payload(tezos.Block, 20, 0, 2), "conflict")
		sig := r.mustSign(r.payload(tezos.Block, 20, 0, 1))
		require.True(t, sig.Equal(r.mustSign(r.payload(tezos.Block, 20, 0, 1))))
		r.restart()
		require.True(t, sig.Equal(r.mustSign(r.payload(tezos.Block, 20, 0, 1))))
	})
}

// After a restart nobody knows whether a signature was released: only schemes that give the same one again may go on.
func TestResumeAfterARestart(t *testing.T) {
	eachCurve(t, func(t *testing.T, r *rig) {
		r.lost(r.payload(tezos.Block, 20, 0, 1))
		r.restart()
		asks := len(r.device.Asks())
		r.mustRefuse(r.payload(tezos.Block, 20, 0, 2), "conflict")
		if r.key.Curve() == tezos.Ed25519 || r.key.Curve() == tezos.BLS12381 {
			r.mustSign(r.payload(tezos.Block, 20, 0, 1))
			return
		}
		r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), "not_above")
		require.Len(t, r.device.Asks(), asks)
		r.mustSign(r.payload(tezos.Block, 20, 1, 1))
	})
}

// 2. Durable first, seen from outside: whatever is released can be found in the file by then.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	w := &slowStore{}
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { w.Store, c.Store = c.Store, w })
	release := make(chan struct{})
	w.hold(release)
	answers := make(chan error, 1)
	go func() {
		_, err := r.sign(r.payload(tezos.Block, 20, 0, 1))
		answers <- err
	}()
	require.Eventually(t, func() bool { return len(r.device.Asks()) == 1 }, 10*time.Second, time.Millisecond)
	select {
	case err := <-answers:
		require.Fail(t, "answered before the mark was durable", "%v", err)
	case <-time.After(100 * time.Millisecond): // the device has long been done
	}
	st, err := r.db.State(r.mark(tezos.Block))
	require.NoError(t, err)
	require.Zero(t, st.Mark.Signature, "kept before the mark was durable")
	close(release)
	require.NoError(t, <-answers)
}

// slowStore holds back the news that a mark is durable, or makes it bad.
type slowStore struct {
	signer.Store
	mu      sync.Mutex
	release <-chan struct{}
	err     error
	waits   atomic.Int32
}

func (s *slowStore) hold(release <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = release
}

func (s *slowStore) Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error) {
	p, err := s.Store.Advance(key, mark)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slowPending{s, p, s.release, s.err}, nil
}

type slowPending struct {
	s       *slowStore
	p       hwm.Pending
	release <-chan struct{}
	err     error
}

func (p slowPending) Wait() error {
	p.s.waits.Add(1)
	if p.release != nil {
		<-p.release
	}
	return errors.Join(p.err, p.p.Wait())
}

// A commit that failed: the device has signed, and its signature does not leave, then or later.
func TestFailedCommit(t *testing.T) {
	broken := errors.New("no space left")
	w := &slowStore{err: broken}
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) { w.Store, c.Store = c.Store, w })
	sig, err := r.sign(r.payload(tezos.Block, 20, 0, 1))
	require.ErrorIs(t, err, broken)
	require.Zero(t, sig)
	require.Len(t, r.device.Asks(), 1)
	st, err := r.db.State(r.mark(tezos.Block))
	require.NoError(t, err)
	require.Zero(t, st.Mark.Signature, "the signature was kept, and would be replayed")
}

// 3. Unknown means no.
func TestUnknownMeansNo(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	t.Run("a key that nobody knows", func(t *testing.T) {
		other := newKey(t, tezos.Ed25519, 7).PublicKey().Hash()
		_, err := r.s.Sign(t.Context(), other, r.payload(tezos.Block, 20, 0, 1))
		require.Equal(t, signer.UnknownKey, signer.ReasonOf(err))
		require.True(t, signer.Refused(err))
	})
	t.Run("a tz5 key", func(t *testing.T) {
		_, err := r.s.Sign(t.Context(), tezos.PublicKeyHash{Curve: tezos.MLDSA44}, r.payload(tezos.Block, 20, 0, 1))
		require.Equal(t, signer.UnknownKey, signer.ReasonOf(err))
		require.ErrorContains(t, err, "tz5")
	})
	t.Run("a key without a mark", func(t *testing.T) {
		late := newKey(t, tezos.Ed25519, 8)
		r.device.Hold(append(r.device.Held(), late)...)
		r.s.Learn()
		_, err := r.s.Sign(t.Context(), late.PublicKey().Hash(), r.payload(tezos.Block, 20, 0, 1))
		require.Equal(t, "no_mark", signer.ReasonOf(err))
		var refusal *hwm.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Contains(t, refusal.HintText(), "hwm set")
	})
	t.Run("another chain", func(t *testing.T) {
		p := r.payload(tezos.Block, 20, 0, 1)
		copy(p[1:], tezos.Mainnet[:])
		err := r.refusal(p, signer.WrongChain)
		require.ErrorContains(t, err, tezos.Mainnet.String())
		require.ErrorContains(t, err, ghost.String())
	})
	t.Run("a payload for another curve", func(*testing.T) {
		r.mustRefuse(payloadOf(tezos.BLS12381, tezos.Attestation, 20, 0, 1), "bad_payload")
	})
	t.Run("what is no consensus", func(*testing.T) {
		for _, p := range [][]byte{nil, {}, {0x05}, {0x11}, append([]byte{0x05}, make([]byte, 80)...)} {
			r.mustRefuse(p, "bad_payload")
		}
		for _, p := range [][]byte{{0x03}, append([]byte{0x03}, make([]byte, 80)...)} {
			r.mustRefuse(p, signer.WrongKind)
		}
	})
	require.Empty(t, r.device.Asks())
	require.Equal(t, hwm.Floor(10, at, 0).Position, r.at(tezos.Block))
}

// What a key may be used for is the operator's to say.
func TestPolicy(t *testing.T) {
	key := newKey(t, tezos.Ed25519, 0)
	r := newRig(t, tezos.Ed25519, func(c *signer.Config) {
		c.Keys = []signer.KeyPolicy{{PKH: key.PublicKey().Hash(), Alias: "mine", Allow: []tezos.Kind{tezos.Attestation}}}
	})
	r.mustSign(r.payload(tezos.Attestation, 20, 0, 1))
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), signer.WrongKind)
	elsewhere := baker.Step{Chain: tezos.ChainID{1, 2, 3, 5}, Kind: tezos.Attestation, Level: 21}.Payload(tezos.Ed25519)
	r.mustRefuse(elsewhere, signer.WrongChain)
	require.Equal(t, int32(20), r.at(tezos.Attestation).Level)
	other := newKey(t, tezos.Ed25519, 3)
	r.device.Hold(append(r.device.Held(), other)...)
	r.s.Learn()
	_, err := r.s.Sign(t.Context(), other.PublicKey().Hash(), r.payload(tezos.Attestation, 20, 0, 1))
	require.Equal(t, signer.UnknownKey, signer.ReasonOf(err), "a key that the configuration does not list")
	rows, err := r.db.Rows()
	require.NoError(t, err)
	require.Len(t, rows, 1)
}

// 4. Never lower: floors hold, by whatever way they came.
func TestFloorsAndCeilings(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Block, 20, 0, 1))
	_, err := r.db.Raise([]hwm.Row{{Key: r.mark(tezos.Block), Mark: hwm.Floor(30, at, hwm.SourcePeer)}})
	require.NoError(t, err)
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 1), "not_above") // not even the replay: it is below
	r.mustRefuse(r.payload(tezos.Block, 30, 5, 1), "not_above")
	r.mustSign(r.payload(tezos.Block, 31, 0, 1))
	ceiling := hwm.CeilingKey{Chain: ghost, PKH: r.pkh()}
	require.NoError(t, r.db.SetCeiling(ceiling, hwm.Ceiling{Level: 40, At: at, Source: hwm.SourceSet}))
	r.mustSign(r.payload(tezos.Block, 40, 0, 1))
	r.mustRefuse(r.payload(tezos.Block, 41, 0, 1), "above_ceiling")
	r.mustRefuse(r.payload(tezos.Attestation, 41, 0, 1), "above_ceiling")
	r.restart()
	r.mustRefuse(r.payload(tezos.Block, 41, 0, 1), "above_ceiling")
	require.Equal(t, int32(40), r.at(tezos.Block).Level)
}

// 6. What a device answers is verified before it leaves, and a wrong answer is no reason to sign other bytes.
func TestWrongSignatureNeverLeaves(t *testing.T) {
	eachCurve(t, func(t *testing.T, r *rig) {
		other := newKey(t, r.key.Curve(), 9)
		wrong := map[string]func(pkh tezos.PublicKeyHash, payload []byte) tezos.Signature{
			"another key's": func(_ tezos.PublicKeyHash, p []byte) tezos.Signature { return other.Sign(p) },
			"another payload's": func(_ tezos.PublicKeyHash, p []byte) tezos.Signature {
				return r.key.Sign(append([]byte{0}, p...))
			},
			"of another scheme": func(_ tezos.PublicKeyHash, p []byte) tezos.Signature {
				return newKey(t, (r.key.Curve()+1)%4, 0).Sign(p)
			},
		}
		level := int32(20)
		for name, f := range wrong {
			level++
			p := r.payload(tezos.Block, level, 0, 1)
			r.device.Script(func(_ context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
				return f(pkh, payload), nil
			})
			r.mustRefuse(p, "wrong_signature")
			r.mustRefuse(r.payload(tezos.Block, level, 0, 2), "conflict")
			r.device.Script(nil)
			r.mustSign(p)
			require.Equal(t, level, r.at(tezos.Block).Level, name)
		}
	})
}

// A signature that the store has from elsewhere is verified as well.
func TestWrongSignatureInTheStore(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	p := r.payload(tezos.Block, 20, 0, 1)
	req, err := tezos.Decode(tezos.Ed25519, p)
	require.NoError(t, err)
	mark := hwm.MarkFor(req, at)
	mark.Signature = newKey(t, tezos.Ed25519, 9).Sign(p)
	mark.Source = hwm.SourcePeer
	_, err = r.db.Raise([]hwm.Row{{Key: r.mark(tezos.Block), Mark: mark}})
	require.NoError(t, err)
	r.mustRefuse(p, "wrong_signature")
	require.Empty(t, r.device.Asks())
}

// A caller that goes away may use its bytes for something else while the device still works on them.
func TestPayloadIsNotTheCallers(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	entered, release := make(chan struct{}), make(chan struct{})
	var seen []byte
	r.device.Script(func(_ context.Context, _ tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
		close(entered)
		<-release
		seen = append(seen, payload...)
		return tezos.Signature{}, nil
	})
	p := r.payload(tezos.Block, 20, 0, 1)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() {
		_, err := r.s.Sign(ctx, r.pkh(), p)
		answer <- err
	}()
	<-entered
	cancel()
	require.Error(t, <-answer)
	copy(p, r.payload(tezos.Block, 20, 0, 2))
	close(release)
	want := r.payload(tezos.Block, 20, 0, 1)
	require.Eventually(t, func() bool {
		st, err := r.db.State(r.mark(tezos.Block))
		return err == nil && !st.Mark.Signature.IsZero()
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, want, seen)
	r.device.Script(nil)
	r.mustSign(want)
	r.mustRefuse(r.payload(tezos.Block, 20, 0, 2), "conflict")
}

// The mark has moved, in memory, before the device is asked: a crash of the device's driver, a second way in, a panic
// find it there.
func TestMarkMovesBeforeTheDeviceIsAsked(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	var seen hwm.State
	r.device.Script(func(context.Context, tezos.PublicKeyHash, []byte) (sig tezos.Signature, err error) {
		seen, err = r.db.State(r.mark(tezos.Block))
		return tezos.Signature{}, err
	})
	p := r.payload(tezos.Block, 20, 3, 1)
	r.mustSign(p)
	require.Equal(t, hwm.Position{Level: 20, Round: 3}, seen.Mark.Position)
	require.Equal(t, tezos.Digest(p), seen.Mark.Digest)
	require.Zero(t, seen.Mark.Signature)
}

// TestAForbiddenSuccessionChangesNothing: a role that its epoch forbids is refused before the gate is closed, and
// nobody inside is given up.
func TestAForbiddenSuccessionChangesNothing(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	r.mustSign(r.payload(tezos.Block, 20, 0, 1))
	was := r.db.Role()
	for name, change := range map[string]func(*hwm.RoleRecord){
		"an older epoch":           func(next *hwm.RoleRecord) { next.Role, next.Epoch = hwm.Standby, was.Epoch-1 },
		"fenced in an older epoch": func(next *hwm.RoleRecord) { next.Role, next.Epoch = hwm.Fenced, was.Epoch-1 },
		"another owner signs on":   func(next *hwm.RoleRecord) { next.Owner = hwm.InstanceID{7} },
		"no role":                  func(next *hwm.RoleRecord) { next.Role = 0 },
	} {
		next := was
		change(&next)
		_, err := r.s.Become(t.Context(), next, nil)
		require.Error(t, err, name)
		require.True(t, r.s.Active(), name)
		require.Equal(t, was, r.db.Role(), name)
	}
	r.mustSign(r.payload(tezos.Block, 21, 0, 1))
}
