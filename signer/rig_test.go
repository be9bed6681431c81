package signer_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Short names for what every test of this package needs.
var (
	ghost, at = signertest.Chain, signertest.At
	newKey    = signertest.NewKey
	payloadOf = signertest.Payload
	newDevice = signertest.NewDevice
	slow      = signertest.Slow
)

// withDAL is an attestation that also carries a DAL bitset.
func withDAL(level, round int32, fill byte) []byte {
	return baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: level, Round: round, Variant: fill, DAL: 1}.Payload(
		tezos.Ed25519)
}

// block is the same for all curves.
func block(level, round int32, fill byte) []byte {
	return payloadOf(tezos.Ed25519, tezos.Block, level, round, fill)
}

// rig is a host with fake devices.
type rig struct {
	*host
	key    *softkey.Key
	device *signertest.Device
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
	signertest.Verifies(r.t, r.key.PublicKey(), payload, sig)
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
	signertest.Nothing(r.t, sig)
	require.Equal(r.t, reason, signer.ReasonOf(err), "%v", err)
	return err
}

// eachCurve runs a test for tz1 to tz4.
func eachCurve(t *testing.T, f func(t *testing.T, r *rig)) {
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381} {
		t.Run(curve.String(), func(t *testing.T) { f(t, newRig(t, curve)) })
	}
}
