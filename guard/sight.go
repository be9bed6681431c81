package guard

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Sighting is a signature of a key of ours on chain.
type Sighting struct {
	Key   tezos.PublicKeyHash
	Kind  tezos.Kind
	Place hwm.Position
	Block node.Header // the block of the sighting; an attestation is in a later block than its own

	digest [32]byte // of the payload, built from the node's answer
	proven bool     // the signature verifies over these bytes
	form   string   // how the bytes were built; see Guard.trusted
	// doubtful: nothing shows that the key signed. The signature could be verified and does not verify, or the key was
	// never here to sign with. A signature that cannot be verified alone is not doubtful: the node took the block, and
	// each tz4 attestation comes on chain in an aggregate.
	doubtful bool
}

// Finding is a sighting that this instance did not sign.
type Finding struct {
	Sighting
	Epoch uint64    // of the role, at the time of the finding
	Mark  *hwm.Mark // ours, at the time of the finding
	Fresh bool      // this process made Mark: no old copy of the state directory explains the finding
	Why   string    // why the sighting cannot be ours
	// Doubtful: the signature does not verify over the node's answer, or no device ever offered the key. No reason to
	// fence.
	Doubtful bool
}

// String fits into the reason of a role (hwm.MaxWhy).
func (f Finding) String() string {
	article := "a"
	if f.Kind == tezos.Attestation {
		article = "an"
	}
	return fmt.Sprintf("%s signed %s %s at %s, seen in %s: %s", f.Key, article, f.Kind, f.Place, f.Block, f.Why)
}

// examine looks for our keys in a block: as its baker, and in its consensus operations. The companion key of a tz4
// baker signs the same bytes as the consensus key and is not named on chain; the consensus key stands for both.
func (g *Guard) examine(ctx context.Context, b node.Header) error {
	keys := g.cfg.Keys()
	pkhs := make([]tezos.PublicKeyHash, 0, len(keys))
	for _, k := range keys {
		pkhs = append(pkhs, k.PKH)
	}
	read, err := g.cfg.Reader.Block(ctx, b, pkhs)
	if err != nil {
		return err
	}
	for _, signed := range read.Ours {
		i := find(keys, signed.Key, signed.Kind)
		if i < 0 {
			continue
		}
		s, err := g.sighting(ctx, keys[i], signed, b)
		if err != nil {
			return err
		}
		if err = g.weigh(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) sighting(ctx context.Context, key Key, signed chain.Signed, b node.Header) (Sighting, error) {
	if signed.Operation == nil {
		return g.block(ctx, key, b)
	}
	return g.operation(key, signed.Operation, b), nil
}

// find gives the index of our key that may have signed; negative: none.
func find(keys []Key, pkh tezos.PublicKeyHash, kind tezos.Kind) int {
	return slices.IndexFunc(keys, func(k Key) bool {
		return k.PKH == pkh && (len(k.Kinds) == 0 || slices.Contains(k.Kinds, kind))
	})
}

func (g *Guard) operation(key Key, op *node.Operation, b node.Header) Sighting {
	payload := op.Payload(g.cfg.Chain, key.PKH.Curve)
	s := Sighting{
		Key: key.PKH, Kind: op.Kind, Place: hwm.Position{Level: op.Level, Round: op.Round}, Block: b,
		digest: tezos.Digest(payload), proven: !op.Aggregate && verifies(key, payload, op.Signature),
		form: fmt.Sprintf("%s %s %t %t %d", op.Protocol, op.Kind, op.Aggregate, op.DAL != nil, key.PKH.Curve),
	}
	alone := key.PKH.Curve != tezos.BLS12381 || !op.Aggregate && op.DAL == nil // with DAL a companion key has a share
	s.doubtful = !s.proven && (alone || key.Public == nil)
	return s
}

func (g *Guard) block(ctx context.Context, key Key, b node.Header) (Sighting, error) {
	place := hwm.Position{Level: b.Level, Round: b.Round}
	s := Sighting{Key: key.PKH, Kind: tezos.Block, Place: place, Block: b, form: "block"}
	payload, sig, err := g.cfg.Reader.Payload(ctx, b, key.PKH.Curve)
	if err != nil {
		return Sighting{}, err
	}
	s.digest, s.proven = tezos.Digest(payload), verifies(key, payload, sig)
	s.doubtful = !s.proven
	return s, nil
}

func verifies(key Key, payload []byte, sig tezos.Signature) bool {
	return key.Public != nil && key.Public.Verify(payload, sig) == nil
}

// weigh judges a sighting and raises the alarm.
func (g *Guard) weigh(ctx context.Context, s Sighting) error {
	// The mark is read after the sighting: a signature of our own is not above the mark.
	state, err := g.cfg.Marks.State(hwm.Key{Chain: g.cfg.Chain, PKH: s.Key, Kind: s.Kind})
	if err != nil {
		return err
	}
	why := g.judge(s, state)
	if why == "" || g.alarmed || s.doubtful && g.doubted {
		return nil
	}
	if now := g.cfg.Role(); now.Role != hwm.Active || now.Epoch != g.epoch {
		return nil // given away meanwhile: the peer may sign
	}
	f := Finding{Sighting: s, Epoch: g.epoch, Mark: state.Mark, Fresh: state.Fresh, Why: why, Doubtful: s.doubtful}
	where := slog.Group("sighting", "pkh", s.Key.String(), "kind", s.Kind.String(), "level", s.Place.Level,
		"round", s.Place.Round, "block", s.Block.Hash.BlockHash(), "block_level", s.Block.Level, "why", why)
	if s.doubtful {
		g.doubted = true
		g.cfg.Log.Error("the node shows a signature of our key that does not verify", where)
	} else {
		g.alarmed = true
		g.update(func(st *Status) { st.Finding = &f })
		g.cfg.Log.Error("our key signed elsewhere", where)
	}
	g.cfg.Alarm(ctx, f)
	return nil
}
