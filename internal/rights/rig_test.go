package rights

import (
	"bytes"
	"cmp"
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/baker"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ghost = tezos.ChainID{'g', 'h', 'o', 's'}

const start = 1000

// rig is an emulated octez node with two bakers of ours in turn, a tz1 and a tz4, and a follower.
type rig struct {
	t     *testing.T
	sim   *nodesim.Node
	signs []*softkey.Key
	keys  []Key
	f     *Follower
	now   time.Time
	asked int64
}

func newRig(t *testing.T, change ...func(*nodesim.Config)) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	cfg := nodesim.Config{Chain: ghost, Level: start, Now: func() time.Time { return r.now }}
	for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.BLS12381} {
		k, err := softkey.New(curve, bytes.Repeat([]byte{7}, softkey.MinSeed))
		require.NoError(t, err)
		pkh := k.PublicKey().Hash()
		r.signs, r.keys = append(r.signs, k), append(r.keys, Key{PKH: pkh})
		cfg.Bakers = append(cfg.Bakers, node.Signer{Delegate: pkh, Key: pkh})
	}
	for _, f := range change {
		f(&cfg)
	}
	r.sim = nodesim.New(cfg)
	srv := httptest.NewServer(r.sim)
	t.Cleanup(srv.Close)
	client, err := node.New(node.Config{URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	r.f = New(Config{
		Reader: chain.New(client, ghost), Keys: func() []Key { return r.keys }, Now: func() time.Time { return r.now },
	})
	return r
}

// step is a signature of a key.
func (r *rig) step(key int, kind tezos.Kind, level int32) {
	r.t.Helper()
	k := r.signs[key]
	payload := baker.Step{Chain: ghost, Kind: kind, Level: level}.Payload(k.Curve())
	require.NoError(r.t, r.sim.Note(k.PublicKey().Hash(), payload, k.Sign(payload)))
}

// attest has the keys attest the head.
func (r *rig) attest(keys ...int) {
	for _, key := range keys {
		r.step(key, tezos.Attestation, r.sim.Head().Level)
	}
}

// advance makes a block, six seconds later, and has the follower look.
func (r *rig) advance() error {
	r.now = r.now.Add(6 * time.Second)
	h := r.sim.Advance()
	r.f.Saw(h.Level, h.Timestamp)
	return r.look()
}

// look is what Run does at a head.
func (r *rig) look() error {
	if r.f.cfg.Now().Before(r.f.until) {
		return nil
	}
	before := r.sim.Served()
	err := r.f.look(context.Background())
	r.asked = r.sim.Served() - before
	r.f.judge(err)
	return err
}

// catchUp has the follower read the levels before the first head.
func (r *rig) catchUp() *rig {
	r.t.Helper()
	h := r.sim.Head()
	r.f.Saw(h.Level, h.Timestamp)
	for range Backfill/levelsPerHead + 1 {
		require.NoError(r.t, r.look())
	}
	_, to := r.f.Known()
	require.Equal(r.t, h.Level-1-Depth, to)
	return r
}

// outcomes are those of a key and kind, by level, of round 0.
func (r *rig) outcomes(key int, kind tezos.Kind) map[int32]Outcome {
	out := map[int32]Outcome{}
	for _, p := range r.f.Past(0) {
		if p.PKH == r.keys[key].PKH && p.Kind == kind && p.Round == 0 {
			out[p.Level] = p.Outcome
		}
	}
	return out
}

// block is the block of level 7 with its makers.
func block(round int32, baker, proposer tezos.PublicKeyHash) chain.Block {
	return chain.Block{
		Header: node.Header{Level: 7, Round: round},
		Makers: node.Makers{Baker: node.Signer{Key: baker}, Proposer: node.Signer{Key: proposer}},
	}
}

// Next gives the coming rights of a key, the nearest first.
func (f *Follower) Next(pkh tezos.PublicKeyHash) (out []Right) {
	f.Each(func(r Right) {
		if r.PKH == pkh {
			out = append(out, r)
		}
	})
	slices.SortStableFunc(out, func(a, b Right) int { return cmp.Compare(a.Level, b.Level) })
	return out
}

// pending are the rights without an outcome yet.
func (r *rig) pending() (out []Right) {
	r.f.EachPending(func(p Right) { out = append(out, p) })
	return out
}
