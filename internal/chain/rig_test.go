package chain

import (
	"bytes"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ghost is no chain that exists, and start the level of its head.
var ghost = tezos.ChainID{'g', 'h', 'o', 's'}

const start = 1000

// rig is an emulated octez node, keys that have rights on its chain, and a reader. Another baker bakes every block.
type rig struct {
	t      *testing.T
	sim    *nodesim.Node
	signs  []*softkey.Key
	keys   []tezos.PublicKeyHash // of signs
	reader *Reader
}

// newRig has the levels at which the keys have to attest.
func newRig(t *testing.T, duty func(level int32) bool) *rig {
	t.Helper()
	r := &rig{t: t}
	stranger := newKey(t, tezos.Secp256k1, 9).PublicKey().Hash()
	bakers := slices.Repeat([]node.Signer{{Delegate: stranger, Key: stranger}}, 30) // bakes whatever a test gets to
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.P256} {
		k := newKey(t, curve, 7)
		pkh := k.PublicKey().Hash()
		r.signs, r.keys = append(r.signs, k), append(r.keys, pkh)
		bakers = append(bakers, node.Signer{Delegate: pkh, Key: pkh})
	}
	r.sim = nodesim.New(nodesim.Config{
		Chain: ghost, Level: start, Bakers: bakers, HasRights: func(level int32, s node.Signer) bool {
			return duty(level) && s.Key != stranger
		},
	})
	srv := httptest.NewServer(r.sim)
	t.Cleanup(srv.Close)
	client, err := node.New(node.Config{URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	r.reader = New(client, ghost)
	return r
}

func newKey(t *testing.T, curve tezos.Curve, seed byte) *softkey.Key {
	t.Helper()
	k, err := softkey.New(curve, bytes.Repeat([]byte{seed}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}

// attest puts the attestations of all keys at the head's level on chain, and makes the next block.
func (r *rig) attest() {
	r.t.Helper()
	for i, key := range r.signs {
		payload := baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: r.sim.Head().Level}.Payload(key.Curve())
		require.NoError(r.t, r.sim.Note(r.keys[i], payload, key.Sign(payload)))
	}
	r.sim.Advance()
}

func always(int32) bool { return true }

// butOne has no rights at one level.
func butOne(level int32) bool { return level != start+6 }
