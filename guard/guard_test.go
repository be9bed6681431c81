package guard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ghost is no chain that exists.
var ghost = tezos.ChainID{1, 2, 3, 4}

// host is an instance as the guard sees it: marks, a role, what it signed; and the chain beside it.
type host struct {
	t      *testing.T
	sim    *nodesim.Node
	srv    *httptest.Server
	memory *guard.Memory
	guard  *guard.Guard
	alarms chan guard.Finding
	stop   func()

	mu      sync.Mutex
	keys    []guard.Key
	states  map[hwm.Key]hwm.State
	role    hwm.RoleRecord
	broken  error  // of the store
	onState func() // called under mu
}

// start makes a host whose keys have marks at level 990, and a chain whose head is level 1000.
func start(t *testing.T, sim nodesim.Config, keys ...*softkey.Key) *host {
	t.Helper()
	sim.Chain = ghost
	h := &host{
		t: t, sim: nodesim.New(sim), states: map[hwm.Key]hwm.State{}, alarms: make(chan guard.Finding, 100),
		role: hwm.RoleRecord{Role: hwm.Active, Epoch: 3},
	}
	h.srv = httptest.NewServer(h.sim)
	t.Cleanup(h.srv.Close)
	for _, k := range keys {
		h.keys = append(h.keys, guard.Key{PKH: k.PublicKey().Hash(), Public: k.PublicKey()})
		for _, kind := range tezos.Kinds {
			h.raise(k, kind, hwm.Floor(990, time.Time{}, hwm.SourceSet))
		}
	}
	h.run()
	t.Cleanup(func() { h.stop() })
	return h
}

// run starts a guard, as a process does that remembers nothing; the one before ends.
func (h *host) run() {
	if h.stop != nil {
		h.stop()
	}
	client, err := node.New(node.Config{URL: h.srv.URL})
	require.NoError(h.t, err)
	h.memory = guard.NewMemory()
	g := guard.New(guard.Config{
		Reader: chain.New(client, ghost), Chain: ghost, Marks: h, Memory: h.memory, Margin: func() int32 { return 10 },
		Keys:  func() []guard.Key { h.mu.Lock(); defer h.mu.Unlock(); return h.keys },
		Role:  func() hwm.RoleRecord { h.mu.Lock(); defer h.mu.Unlock(); return h.role },
		Alarm: func(_ context.Context, f guard.Finding) { h.alarms <- f },
	})
	h.guard = g
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	h.stop = func() { cancel(); <-done; client.Close() }
	h.settle()
}

func (h *host) State(key hwm.Key) (hwm.State, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.onState != nil {
		h.onState()
	}
	return h.states[key], h.broken
}

func (h *host) raise(k *softkey.Key, kind tezos.Kind, m hwm.Mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := hwm.Key{Chain: ghost, PKH: k.PublicKey().Hash(), Kind: kind}
	st := h.states[key]
	st.Mark = &m
	h.states[key] = st
}

func (h *host) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// sign does what an instance does: the mark, the signature, the outcome; and the baker sends it to the network.
func (h *host) sign(k *softkey.Key, step baker.Step) {
	h.t.Helper()
	h.attempt(k, step, "signed")
	h.twin(k, step)
}

func (h *host) attempt(k *softkey.Key, step baker.Step, decision string) {
	h.t.Helper()
	step.Chain = ghost
	req, err := tezos.Decode(k.Curve(), step.Payload(k.Curve()))
	require.NoError(h.t, err)
	h.raise(k, step.Kind, hwm.MarkFor(req, time.Time{}))
	h.memory.Observe(signer.Outcome{
		Chain: ghost, PKH: k.PublicKey().Hash(), Kind: req.Kind, Level: req.Level, Round: req.Round, Digest: req.Digest,
		Decision: decision,
	})
}

// twin lets another signer with the same key send something to the network.
func (h *host) twin(k *softkey.Key, step baker.Step) {
	h.t.Helper()
	step.Chain = ghost
	payload := step.Payload(k.Curve())
	require.NoError(h.t, h.sim.Note(k.PublicKey().Hash(), payload, k.Sign(payload)))
}

// settle waits until the guard has dealt with the head, one way or the other.
func (h *host) settle() {
	h.t.Helper()
	head := h.sim.Head()
	require.Eventually(h.t, func() bool { return h.guard.Status().Head == head }, 10*time.Second, time.Millisecond,
		"the guard does not see the head")
}

// block makes the next block and waits for the guard to look at it.
func (h *host) block() {
	h.t.Helper()
	h.sim.Advance()
	h.settle()
}

func (h *host) quiet() {
	h.t.Helper()
	select {
	case f := <-h.alarms:
		h.t.Fatalf("a false alarm: %s", f)
	default:
	}
	require.NoError(h.t, h.guard.Status().Err)
}

// alarmed takes the one alarm that there must be.
func (h *host) alarmed() guard.Finding {
	h.t.Helper()
	require.Len(h.t, h.alarms, 1)
	f := <-h.alarms
	require.Equal(h.t, f, *h.guard.Status().Finding)
	return f
}

func newKey(t *testing.T, curve tezos.Curve, seed byte) *softkey.Key {
	t.Helper()
	scalar := make([]byte, 32)
	scalar[31] = seed
	if curve == tezos.Ed25519 {
		k, err := softkey.New(curve, scalar)
		require.NoError(t, err)
		return k
	}
	k, err := softkey.FromScalar(curve, scalar)
	require.NoError(t, err)
	return k
}

func att(level int32) baker.Step  { return baker.Step{Kind: tezos.Attestation, Level: level} }
func pre(level int32) baker.Step  { return baker.Step{Kind: tezos.Preattestation, Level: level} }
func made(level int32) baker.Step { return baker.Step{Kind: tezos.Block, Level: level} }

func at(s baker.Step, round int32) baker.Step { s.Round = round; return s }

func other(s baker.Step) baker.Step { s.Variant = 9; return s }

var curves = []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381}

// What the instance itself signs is no alarm: every kind, every curve, with DAL, in aggregates and alone.
func TestOurOwnIsQuiet(t *testing.T) {
	for _, separate := range []bool{false, true} {
		var keys []*softkey.Key
		for i, c := range curves {
			keys = append(keys, newKey(t, c, byte(i+1)))
		}
		h := start(t, nodesim.Config{Separate: separate}, keys...)
		for level := int32(1000); level < 1010; level++ {
			for i, k := range keys {
				a := att(level)
				a.DAL = int(level % 3)
				h.sign(k, a)
				if int(level)%len(keys) == i {
					h.sign(k, made(level+1))
				}
				h.sign(k, pre(level+1))
			}
			h.block()
			h.quiet()
		}
	}
}

func TestATwinAboveOurMark(t *testing.T) {
	for _, curve := range curves {
		for _, step := range []baker.Step{att(1000), pre(1001), made(1001)} {
			t.Run(fmt.Sprint(curve, step.Kind), func(t *testing.T) {
				k := newKey(t, curve, 1)
				h := start(t, nodesim.Config{}, k)
				h.twin(k, step)
				h.block()
				f := h.alarmed()
				require.Equal(t, k.PublicKey().Hash(), f.Key)
				require.Equal(t, step.Kind, f.Kind)
				require.Equal(t, hwm.Position{Level: step.Level}, f.Place)
				require.Equal(t, h.sim.Head(), f.Block)
				require.Equal(t, uint64(3), f.Epoch)
				require.Equal(t, int32(990), f.Mark.Level)
				require.Contains(t, f.String(), f.Block.Hash.BlockHash())
				require.Contains(t, f.String(), "above everything")

				h.twin(k, att(1001))
				h.block()
				require.Empty(t, h.alarms, "once for an epoch")
			})
		}
	}
}

// A round that we passed over, at a level that we signed: our mark is above it already.
func TestATwinBelowOurMark(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.sign(k, att(1000))
	h.block()
	h.quiet()
	h.sign(k, att(1002))
	h.twin(k, att(1001))
	h.block()
	h.block()
	require.Contains(t, h.alarmed().Why, "signed nothing there")
}

func TestADoubleSignature(t *testing.T) {
	for _, curve := range curves {
		for _, step := range []baker.Step{att(1001), pre(1002), made(1002)} {
			if curve == tezos.BLS12381 && step.Kind != tezos.Block {
				continue // in aggregates: see below
			}
			t.Run(fmt.Sprint(curve, step.Kind), func(t *testing.T) {
				k := newKey(t, curve, 1)
				h := start(t, nodesim.Config{}, k)
				h.block()
				h.attempt(k, step, "signed") // ours is not on chain
				h.twin(k, other(step))
				h.block()
				require.Contains(t, h.alarmed().Why, "double signature")
			})
		}
	}
}

// The bytes behind an aggregate cannot be proven by its signature. A difference counts once our own were recognised in
// that form, and never before: another encoding must not stop a good baker.
func TestADoubleSignatureInAnAggregate(t *testing.T) {
	k := newKey(t, tezos.BLS12381, 1)
	h := start(t, nodesim.Config{}, k)
	h.attempt(k, att(1000), "signed")
	h.twin(k, other(att(1000)))
	h.block()
	h.quiet()
	h.sign(k, att(1001))
	h.block()
	h.quiet()
	h.attempt(k, att(1002), "signed")
	h.twin(k, other(att(1002)))
	h.block()
	require.Contains(t, h.alarmed().Why, "double signature")
}

// A signature that does not verify over what we build from the node's answer says nothing of the bytes, only of the
// place.
func TestAnUnknownEncodingIsQuietAtOurPlaces(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.attempt(k, att(1000), "signed")
	payload := baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: 1000, Variant: 7}.Payload(tezos.Ed25519)
	require.NoError(t, h.sim.Note(k.PublicKey().Hash(), payload, k.Sign([]byte("another layout"))))
	h.block()
	h.quiet()
	payload = baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: 1001, Variant: 7}.Payload(tezos.Ed25519)
	require.NoError(t, h.sim.Note(k.PublicKey().Hash(), payload, k.Sign([]byte("another layout"))))
	h.block()
	f := h.doubted()
	require.Contains(t, f.Why, "above everything")
	require.Equal(t, int32(1001), f.Place.Level)
}

// doubted takes the one finding that there must be, which no signature shows.
func (h *host) doubted() guard.Finding {
	h.t.Helper()
	require.Len(h.t, h.alarms, 1)
	f := <-h.alarms
	require.True(h.t, f.Doubtful)
	require.Nil(h.t, h.guard.Status().Finding)
	return f
}

// A node that lies shows what our keys never signed. Where the signature can be verified it is no reason to fence: it
// is told once, and hides no real twin.
func TestASightingThatDoesNotVerify(t *testing.T) {
	for _, curve := range curves {
		for _, step := range []baker.Step{att(1000), pre(1001), made(1001)} {
			t.Run(fmt.Sprint(curve, step.Kind), func(t *testing.T) {
				k := newKey(t, curve, 1)
				h := start(t, nodesim.Config{Separate: true}, k)
				lie := func(step baker.Step) {
					step.Chain = ghost
					payload := step.Payload(curve)
					require.NoError(t, h.sim.Note(k.PublicKey().Hash(), payload, k.Sign([]byte("something else"))))
					h.block()
				}
				lie(step)
				h.doubted()
				step.Level++
				lie(step)
				h.quiet()
				step.Level++
				h.twin(k, step)
				h.block()
				f := h.alarmed()
				require.False(t, f.Doubtful)
				require.Equal(t, step.Level, f.Place.Level)
			})
		}
	}
}

// An aggregate of tz4 keys cannot be verified by one of them, and fences: there is no other form in which their
// attestations come.
func TestAnAggregateIsNotDoubted(t *testing.T) {
	k, other := newKey(t, tezos.BLS12381, 1), newKey(t, tezos.BLS12381, 2)
	h := start(t, nodesim.Config{}, k)
	h.twin(k, att(1000))
	h.twin(other, att(1000))
	h.block()
	require.False(t, h.alarmed().Doubtful)
}

// A key that no device has offered cannot sign here: what is said of it is told, and fences nothing.
func TestAKeyThatWasNeverHere(t *testing.T) {
	for _, curve := range curves {
		k := newKey(t, curve, 1)
		h := start(t, nodesim.Config{}, k)
		h.set(func() { h.keys[0].Public = nil })
		h.twin(k, att(1000))
		h.block()
		h.doubted()
	}
}

// A head that is hours old shows nothing of what is signed now: the guard is blind, and sees again with the next that
// is not.
func TestAnOldHeadIsBlindness(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	var old atomic.Int64
	now := func() time.Time { return time.Now().Add(-time.Duration(old.Load())) }
	old.Store(int64(3 * time.Hour))
	h := start(t, nodesim.Config{Now: now}, k)
	blind := func(age string) {
		t.Helper()
		var stale *guard.StaleError
		require.ErrorAs(t, h.guard.Status().Err, &stale)
		require.Contains(t, stale.Error(), age)
		require.NotEmpty(t, stale.HintText())
		require.False(t, h.guard.Status().Watching)
	}
	blind("3h0m0s old")
	since := h.guard.Status().Since
	old.Store(int64(2 * time.Hour))
	h.block()
	blind("2h0m0s old")
	require.Equal(t, since, h.guard.Status().Since)
	old.Store(int64(guard.MaxHeadAge - time.Minute))
	h.block()
	require.True(t, h.guard.Status().Watching)
	require.NoError(t, h.guard.Status().Err)
	old.Store(int64(guard.MaxHeadAge + time.Minute))
	h.twin(k, att(h.sim.Head().Level))
	h.block()
	blind("6m0s old")
	require.NotEmpty(t, h.alarms, "an old block is looked at all the same")
}

// A new protocol may write kinds of operations that are unknown here. The guard says so, raises no alarm, and sees again
// with the next readable block.
func TestAnUnknownKindOfOperationIsBlindness(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.sign(k, att(h.sim.Head().Level))
	h.sim.SetFaults(nodesim.Faults{KindSuffix: "_of_tomorrow"})
	h.sim.Advance()
	require.Eventually(t, func() bool { return h.guard.Status().Err != nil }, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, h.guard.Status().Err, `"attestation_of_tomorrow" is no known kind of consensus operation`)
	require.False(t, h.guard.Status().Watching)
	h.sim.SetFaults(nodesim.Faults{})
	h.block()
	require.True(t, h.guard.Status().Watching)
	h.quiet()
}

func TestReorganisationsLateAndAgain(t *testing.T) {
	k, four := newKey(t, tezos.Ed25519, 1), newKey(t, tezos.BLS12381, 2)
	h := start(t, nodesim.Config{}, k, four)
	for level := int32(1000); level < 1005; level++ {
		h.sign(k, att(level))
		h.sign(four, att(level))
		if level%2 == 0 {
			h.sign(k, made(level+1))
		}
		h.block()
	}
	for depth := 1; depth <= 4; depth++ {
		h.sim.Reorganise(depth, depth%2 == 0) // blocks of ours fall away, operations come again in other blocks, or not
		h.settle()
		h.quiet()
	}
	h.attempt(k, att(1005), "signed")
	h.block()
	h.block()
	h.block()
	h.twin(k, att(1005)) // ours, three blocks late
	h.block()
	h.quiet()
	h.twin(k, att(1005)) // and once more
	h.twin(k, att(1001))
	h.block()
	h.quiet()
	h.twin(k, att(1006))
	h.block()
	h.alarmed()
}

func TestARestart(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	for level := int32(1000); level < 1006; level++ {
		h.sign(k, att(level))
		h.block()
	}
	h.run() // remembers nothing, and looks at all these blocks again
	h.quiet()
	h.sim.Reorganise(2, true)
	h.settle()
	h.quiet()
	h.sign(k, att(1006))
	h.block()
	h.quiet()
	h.twin(k, att(1007))
	h.block()
	h.alarmed()
}

// A mark whose bytes are known tells a stranger at its place even after a restart.
func TestADoubleSignatureOverARestart(t *testing.T) {
	k := newKey(t, tezos.P256, 1)
	h := start(t, nodesim.Config{}, k)
	h.attempt(k, att(1000), "signed")
	h.run()
	h.twin(k, other(att(1000)))
	h.block()
	require.Contains(t, h.alarmed().Why, "double signature")
}

// State from a backup: the chain has what the marks have not.
func TestOldState(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.sign(k, att(1000))
	h.block()
	h.raise(k, tezos.Attestation, hwm.Floor(995, time.Time{}, hwm.SourceSigned))
	h.run()
	require.Contains(t, h.alarmed().Why, "above everything")
}

// A device that failed may have signed: those bytes are ours, other bytes are not.
func TestAFailedAttempt(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.attempt(k, att(1000), "failed")
	h.sign(k, att(1001))
	h.twin(k, att(1000))
	h.block()
	h.quiet()
	h.memory.Observe(signer.Outcome{
		Chain: ghost, PKH: k.PublicKey().Hash(), Kind: tezos.Attestation, Level: 1002, Decision: "refused",
	})
	h.twin(k, att(1002))
	h.block()
	h.block()
	require.Contains(t, h.alarmed().Why, "above everything", "a refusal reached no device")
}

// A request that the device would have refused moves no mark and asks no device. After a handover the other instance
// signs other bytes there, which is no double signature.
func TestARequestThatWasSpared(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	step := att(1000)
	step.Chain = ghost
	req, err := tezos.Decode(tezos.Ed25519, step.Payload(tezos.Ed25519))
	require.NoError(t, err)
	h.memory.Observe(signer.Outcome{
		Chain: ghost, PKH: k.PublicKey().Hash(), Kind: req.Kind, Level: req.Level, Digest: req.Digest, Decision: "failed",
		Spared: true,
	})
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Standby, Epoch: 4} })
	h.raise(k, req.Kind, hwm.Floor(req.Level, time.Time{}, hwm.SourcePeer))
	other := att(1000)
	other.Variant = 9
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Active, Epoch: 5} })
	h.block()
	h.twin(k, other)
	h.block()
	h.quiet()
}

func TestOthersAreQuiet(t *testing.T) {
	mine, companion, stranger := newKey(t, tezos.BLS12381, 1), newKey(t, tezos.BLS12381, 2), newKey(t, tezos.Ed25519, 3)
	delegate := newKey(t, tezos.Ed25519, 4) // ours too, and its consensus key is the stranger's
	h := start(t, nodesim.Config{Bakers: []node.Signer{
		{Delegate: delegate.PublicKey().Hash(), Key: stranger.PublicKey().Hash()},
	}},
		mine, companion, delegate)
	for level := int32(1000); level < 1004; level++ {
		h.sign(mine, att(level))
		h.attempt(companion, att(level), "signed") // the same bytes; not named on chain
		h.twin(stranger, att(level))
		h.twin(stranger, pre(level+1))
		h.twin(stranger, made(level+1))
		h.block()
		h.quiet()
	}
}

// Our key is the consensus key of another baker.
func TestTheConsensusKeyCounts(t *testing.T) {
	mine, delegate := newKey(t, tezos.BLS12381, 1), newKey(t, tezos.Ed25519, 2)
	h := start(t, nodesim.Config{Bakers: []node.Signer{
		{Delegate: delegate.PublicKey().Hash(), Key: mine.PublicKey().Hash()},
	}}, mine)
	h.twin(mine, att(1000))
	h.block()
	h.alarmed()
}

func TestAKeyWithoutAMarkIsNotInService(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.set(func() { h.states = map[hwm.Key]hwm.State{} })
	h.twin(k, att(1000))
	h.block()
	h.quiet()
}

// After a handover by level the other side signs above our ceiling, and rightly.
func TestAboveOurCeiling(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.set(func() {
		for key, st := range h.states {
			st.Ceiling = &hwm.Ceiling{Level: 1001}
			h.states[key] = st
		}
	})
	h.sign(k, att(1000))
	h.block()
	h.sign(k, att(1001))
	h.block()
	h.twin(k, att(1002))
	h.block()
	h.quiet()
	h.twin(k, at(att(1001), 1)) // at our last level, a round that we did not sign
	h.block()
	h.alarmed()
}

// What the other side signed before it gave the right away comes on chain after we have it; so do its last levels in a
// handover by level, whose floor is ahead.
func TestAHandoverToUs(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Standby, Epoch: 3} })
	h.twin(k, att(1000))
	h.block()
	h.quiet()
	h.raise(k, tezos.Attestation, hwm.Floor(1003, time.Time{}, hwm.SourcePeer))
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Active, Epoch: 4} })
	for level := int32(1001); level <= 1003; level++ {
		h.twin(k, att(level))
		h.block()
		h.quiet()
	}
	h.sign(k, att(1004))
	h.block()
	h.quiet()
	h.twin(k, att(1005))
	h.block()
	require.Equal(t, uint64(4), h.alarmed().Epoch)
}

// The operator was wrong: the other side lives. It shows inside the margin of the floor, before we may sign at all.
func TestATakeoverFromOneThatLives(t *testing.T) {
	k := newKey(t, tezos.BLS12381, 1)
	h := start(t, nodesim.Config{}, k)
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Standby, Epoch: 3} })
	h.twin(k, att(1000))
	h.block() // 1001
	h.raise(k, tezos.Attestation, hwm.Floor(1001+10, time.Time{}, hwm.SourceTakeover))
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Active, Epoch: 5} })
	h.twin(k, att(1001))
	h.block() // 1002: it may have signed that before it died
	h.quiet()
	h.twin(k, att(1002))
	h.twin(k, att(1003))
	h.block()
	h.quiet()
	h.block() // 1004: nobody was left who may have signed this
	require.Contains(t, h.alarmed().Why, "signed nothing there")
}

func TestANewEpochIsWatchedAnew(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.twin(k, att(1000))
	h.block()
	h.alarmed()
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Fenced, Epoch: 3} })
	h.block()
	require.NotNil(t, h.guard.Status().Finding, "shown as long as it is fenced")
	require.False(t, h.guard.Status().Watching)
	h.raise(k, tezos.Attestation, hwm.Floor(1003, time.Time{}, hwm.SourceSet))
	h.set(func() { h.role = hwm.RoleRecord{Role: hwm.Active, Epoch: 4} })
	h.block()
	h.quiet()
	require.Nil(t, h.guard.Status().Finding)
	require.True(t, h.guard.Status().Watching)
	h.twin(k, att(1004))
	for range 3 {
		h.block()
	}
	h.alarmed()
}

// The right was given away between the look at the block and the alarm.
func TestNoAlarmForAnEpochThatIsOver(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	h.twin(k, att(1000))
	h.onState = func() { h.role = hwm.RoleRecord{Role: hwm.Standby, Epoch: 4} } // when the mark is compared
	h.block()
	h.quiet()
}

func TestBlindAndSeeingAgain(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	blind := func() bool { s := h.guard.Status(); return !s.Watching && s.Err != nil }
	h.sim.SetFaults(nodesim.Faults{Down: true})
	require.Eventually(t, blind, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, h.guard.Status().Err, node.ErrUnreachable)
	h.twin(k, att(1000))
	for range guard.CatchUp - 1 {
		h.sim.Advance()
	}
	h.sim.SetFaults(nodesim.Faults{})
	h.settle()
	require.Equal(t, int32(1001), h.alarmed().Block.Level, "what happened meanwhile is looked at")

	h.set(func() { h.broken = errors.New("the disk is gone"); h.role.Epoch++ })
	h.sim.Advance()
	require.Eventually(t, blind, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, h.guard.Status().Err, "the disk is gone")
	h.set(func() { h.broken = nil })
	h.block()
	require.True(t, h.guard.Status().Watching)
}

// What had to be forgotten is no alarm; what came after is known in full.
func TestMemoryIsBounded(t *testing.T) {
	k := newKey(t, tezos.Ed25519, 1)
	h := start(t, nodesim.Config{}, k)
	for round := range int32(guard.MemorySize + 10) {
		h.attempt(k, at(att(1000), 2*round), "signed")
	}
	h.twin(k, at(att(1000), 2))
	h.twin(k, at(att(1000), 3))  // nobody knows any more
	h.twin(k, at(att(1000), 18)) // the last that was forgotten
	h.twin(k, at(att(1000), 20)) // the first that is remembered
	h.block()
	h.quiet()
	h.twin(k, at(att(1000), 21))
	h.block()
	require.Equal(t, int32(21), h.alarmed().Place.Round)
}
