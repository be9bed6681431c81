package signer_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ghost is a test chain.
var ghost = tezos.ChainID{1, 2, 3, 4}

var at = time.UnixMilli(1_700_000_000_123).UTC()

func newKey(t require.TestingT, curve tezos.Curve, n byte) *softkey.Key {
	k, err := softkey.New(curve, bytes.Repeat([]byte{n + 1}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}

// payloadOf makes a payload of any kind for a key of a curve; fill tells apart those of one position.
func payloadOf(curve tezos.Curve, kind tezos.Kind, level, round int32, fill byte) []byte {
	return baker.Step{Chain: ghost, Kind: kind, Level: level, Round: round, Variant: fill}.Payload(curve)
}

// withDAL is an attestation that also carries a DAL bitset.
func withDAL(level, round int32, fill byte) []byte {
	return baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: level, Round: round, Variant: fill, DAL: 1}.Payload(tezos.Ed25519)
}

// block is the same for all curves.
func block(level, round int32, fill byte) []byte {
	return payloadOf(tezos.Ed25519, tezos.Block, level, round, fill)
}

// fakeDevice holds soft keys. Its fields are the accidents; set them before the device is used, or under mu.
type fakeDevice struct {
	name  string
	keys  []*softkey.Key
	baton chan struct{}

	mu      sync.Mutex
	status  device.Status
	changed chan struct{}
	asked   [][]byte
	// sign stands before the device's own work: its error is the answer; an empty signature lets the device work.
	sign func(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)
}

func newDevice(name string, keys ...*softkey.Key) *fakeDevice {
	d := &fakeDevice{
		name: name, keys: keys, baton: make(chan struct{}, 1), status: device.Status{Health: device.Ready}, changed: make(chan struct{}),
	}
	d.baton <- struct{}{}
	return d
}

func (d *fakeDevice) Name() string { return d.name }

func (d *fakeDevice) Status() device.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

func (d *fakeDevice) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *fakeDevice) become(h device.Health) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Health = h
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *fakeDevice) script(f func(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sign = f
}

// hold makes the device hold these keys from now on.
func (d *fakeDevice) hold(keys ...*softkey.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = keys
}

func (d *fakeDevice) held() []*softkey.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.keys)
}

func (d *fakeDevice) Keys() (out []device.Key) {
	for _, k := range d.held() {
		out = append(out, device.Key{PublicKey: k.PublicKey(), Alias: d.name, Kinds: tezos.Kinds})
	}
	return out
}

func (d *fakeDevice) Turn(ctx context.Context) (device.Turn, error) {
	select {
	case <-d.baton:
		return fakeTurn{d}, nil
	case <-ctx.Done():
		return nil, &device.Error{Device: d.name, Health: device.Busy, Retry: true, Err: errors.New("busy")}
	}
}

// asks are the payloads that the device was asked to sign.
func (d *fakeDevice) asks() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytesClone(d.asked)
}

func bytesClone(in [][]byte) (out [][]byte) {
	for _, b := range in {
		out = append(out, bytes.Clone(b))
	}
	return out
}

type fakeTurn struct{ d *fakeDevice }

func (t fakeTurn) Done() { t.d.baton <- struct{}{} }

func (t fakeTurn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	t.d.mu.Lock()
	t.d.asked = append(t.d.asked, bytes.Clone(payload))
	script := t.d.sign
	t.d.mu.Unlock()
	if script != nil {
		if sig, err := script(ctx, pkh, payload); err != nil || !sig.IsZero() {
			return sig, err
		}
	}
	for _, k := range t.d.held() {
		if k.PublicKey().Hash() == pkh {
			return k.Sign(payload), nil
		}
	}
	return tezos.Signature{}, &device.Error{Device: t.d.name, Health: device.Ready, Err: device.ErrNoKey}
}

// rig is a host with fake devices.
type rig struct {
	*host
	key    *softkey.Key
	device *fakeDevice
}

// newRig makes one with a key of a curve.
func newRig(t testing.TB, curve tezos.Curve, config ...func(*signer.Config)) *rig {
	t.Helper()
	r := &rig{key: newKey(t, curve, 0)}
	r.device = newDevice("left", r.key)
	r.host = newHost(t, 0, func(c *signer.Config) {
		c.Devices = []signer.Device{r.device}
		for _, f := range config {
			f(c)
		}
	})
	return r
}

func (r *rig) pkh() tezos.PublicKeyHash { return r.key.PublicKey().Hash() }

func (r *rig) mark(kind tezos.Kind) hwm.Key { return hwm.Key{Chain: ghost, PKH: r.pkh(), Kind: kind} }

// at is where the mark of a kind stands.
func (r *rig) at(kind tezos.Kind) hwm.Position {
	r.t.Helper()
	st, err := r.db.State(r.mark(kind))
	require.NoError(r.t, err)
	require.NotNil(r.t, st.Mark)
	return st.Mark.Position
}

func (r *rig) payload(kind tezos.Kind, level, round int32, fill byte) []byte {
	return payloadOf(r.key.Curve(), kind, level, round, fill)
}

func (r *rig) sign(payload []byte) (tezos.Signature, error) { return r.ask(r.pkh(), payload) }

// mustSign wants a signature that verifies.
func (r *rig) mustSign(payload []byte) tezos.Signature {
	r.t.Helper()
	sig, err := r.sign(payload)
	require.NoError(r.t, err)
	require.NoError(r.t, r.key.PublicKey().Verify(payload, sig))
	return sig
}

// mustRefuse wants a refusal for a reason.
func (r *rig) mustRefuse(payload []byte, reason string) {
	r.t.Helper()
	require.Error(r.t, r.refusal(payload, reason))
}

// refusal is mustRefuse for who wants to look at it.
func (r *rig) refusal(payload []byte, reason string) error {
	r.t.Helper()
	sig, err := r.sign(payload)
	require.Error(r.t, err)
	require.Zero(r.t, sig, "a refusal with a signature")
	require.Equal(r.t, reason, signer.ReasonOf(err), "%v", err)
	return err
}

// eachCurve runs a test for tz1 to tz4.
func eachCurve(t *testing.T, f func(t *testing.T, r *rig)) {
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		t.Run(curve.String(), func(t *testing.T) { f(t, newRig(t, curve)) })
	}
}
