package nodesim

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// protocol is the hash that the answers carry.
const protocol = "PtSeouLouXkxhg39oWzjxDWaCydNfR3RxCUrNe4Q9Ro8BTehcbh"

// object is a JSON object.
type object = map[string]any

func (n *Node) chainText() string {
	if c := n.faults.Chain; c != (tezos.ChainID{}) {
		return c.String()
	}
	return n.cfg.Chain.String()
}

// shellHeader is a header in the form of /monitor/heads.
func (b *block) shellHeader() object {
	level := binary.BigEndian.AppendUint32(nil, uint32(b.header.Level)) //nolint:gosec // not negative
	round := binary.BigEndian.AppendUint32(nil, uint32(b.header.Round)) //nolint:gosec // not negative
	return object{
		"hash": b.header.Hash.BlockHash(), "level": b.header.Level, "proto": 24,
		"predecessor": b.header.Predecessor.BlockHash(),
		"timestamp":   b.header.Timestamp.Format(time.RFC3339), "validation_pass": 4,
		"operations_hash": "LLoZoMZTJE26zxcTNFLrFVoCvA4B1ktiGtCHHZNzpXkczT8EUEQHC",
		"fitness":         []string{"02", hex.EncodeToString(level), "", "ffffffff", hex.EncodeToString(round)},
		"context":         "CoVtEnUd1WPbmZuioV8G5NYAThbEyn24gN9LGPMSwKgoAJcvrSFR",
	}
}

func (n *Node) monitorHeader(b *block) object {
	h := b.shellHeader()
	h["protocol_data"] = hex.EncodeToString(b.raw[len(b.raw)-64:])
	return h
}

func (n *Node) fullHeader(b *block) object {
	h := b.shellHeader()
	h["protocol"], h["chain_id"] = protocol, n.chainText()
	h["payload_hash"], h["payload_round"] = tezos.Hash32{}.PayloadHash(), b.header.Round
	h["proof_of_work_nonce"], h["liquidity_baking_toggle_vote"] = "0000000000000000", "pass"
	h["signature"] = signatureText(b.raw[len(b.raw)-64:])
	return h
}

func signatureText(raw []byte) string {
	sig, err := tezos.NewSignature(tezos.Ed25519, raw)
	if err != nil {
		return ""
	}
	return sig.String()
}

func (n *Node) metadata(b *block) object {
	return object{
		"protocol": protocol, "next_protocol": n.nextProtocol(), "proposer": b.maker.Delegate, "baker": b.maker.Delegate,
		"proposer_consensus_key": b.maker.Key, "baker_consensus_key": b.maker.Key,
		"level_info": object{
			"level": b.header.Level, "level_position": b.header.Level - 1, "cycle": 1,
			"cycle_position": 1, "expected_commitment": false,
		},
		"nonce_hash":      nil,
		"deactivated":     []string{},
		"balance_updates": []object{}, "implicit_operations_results": []object{}, "consumed_milligas": "0",
		"dal_attestation": "0",
	}
}

// operations is validation pass 0.
func (n *Node) operations(b *block) []object {
	out := []object{}
	groups := map[string]int{} // aggregates by the payload of their members
	for _, s := range b.ops {
		if s.who.Key.Curve != tezos.BLS12381 || n.cfg.Separate {
			out = append(out, n.operation(s, n.single(s)))
			continue
		}
		at, ok := groups[string(s.payload)]
		if !ok {
			groups[string(s.payload)] = len(out)
			out = append(out, n.operation(s, n.aggregate(s)))
			continue
		}
		n.join(out[at], s)
	}
	return out
}

func (n *Node) operation(s signed, content object) object {
	hash := tezos.Hash32(tezos.Digest(append(s.payload, s.sig.Bytes()...)))
	content["kind"] = fmt.Sprint(content["kind"], n.faults.KindSuffix)
	return object{
		"protocol": protocol, "chain_id": s.req.Chain.String(), "hash": hash.OperationHash(),
		"branch": tezos.Hash32(s.payload[5:37]).BlockHash(), "contents": []object{content}, "signature": s.sig.String(),
	}
}

func (n *Node) power(v int) any {
	if n.cfg.Powers {
		return object{"slots": v, "baking_power": nil}
	}
	return v
}

// afterTag is where slot, level, round and payload hash begin.
const afterTag = 38

func payloadHash(s signed) string {
	at := afterTag + 8
	if s.who.Key.Curve != tezos.BLS12381 {
		at += 2
	}
	return tezos.Hash32(s.payload[at : at+32]).PayloadHash()
}

func (n *Node) single(s signed) object {
	c := object{
		"kind": s.req.Kind.String(), "slot": 0, "level": s.req.Level, "round": s.req.Round,
		"block_payload_hash": payloadHash(s),
		"metadata":           object{"delegate": s.who.Delegate, "consensus_power": n.power(100), "consensus_key": s.who.Key},
	}
	if s.who.Key.Curve == tezos.BLS12381 {
		return c
	}
	c["slot"] = binary.BigEndian.Uint16(s.payload[afterTag:])
	const slottedLen = afterTag + 2 + 8 + 32
	if len(s.payload) > slottedLen {
		c["kind"], c["dal_attestation"] = "attestation_with_dal", natural(s.payload[slottedLen:]).String()
	}
	return c
}

// natural reads the number behind an attestation with DAL.
func natural(b []byte) *big.Int {
	v := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		v.Lsh(v, 7)
		v.Or(v, big.NewInt(int64(b[i]&0x7f)))
	}
	return v
}

func (n *Node) aggregate(s signed) object {
	return object{
		"kind":              fmt.Sprintf("%ss_aggregate", s.req.Kind),
		"consensus_content": object{"level": s.req.Level, "round": s.req.Round, "block_payload_hash": payloadHash(s)},
		"committee":         []any{seat(s, 0)},
		"metadata":          object{"committee": []object{n.member(s)}, "total_consensus_power": n.power(100)},
	}
}

// seat is a member in the content's committee: an object for attestations, a number for preattestations.
func seat(s signed, slot int) any {
	if s.req.Kind == tezos.Preattestation {
		return slot
	}
	if slot%2 == 0 {
		return object{"slot": slot, "dal_attestation": "0"}
	}
	return object{"slot": slot}
}

func (n *Node) member(s signed) object {
	return object{"delegate": s.who.Delegate, "consensus_pkh": s.who.Key, "consensus_power": n.power(100)}
}

// join adds a member to an aggregate. The signature of the first member stays: nothing here adds curve points.
func (n *Node) join(op object, s signed) {
	content := op["contents"].([]object)[0] //nolint:forcetypeassert,errcheck // made by aggregate
	seats := content["committee"].([]any)   //nolint:forcetypeassert,errcheck // made by aggregate
	meta := content["metadata"].(object)    //nolint:forcetypeassert,errcheck // made by aggregate
	content["committee"] = append(seats, seat(s, len(seats)))
	meta["committee"] = append(meta["committee"].([]object), n.member(s)) //nolint:forcetypeassert,errcheck // made by aggregate
	meta["total_consensus_power"] = n.power(100 * (len(seats) + 1))
}

// bakingRights: the bakers in turn, round after round.
func (n *Node) bakingRights(level, maxRound int32, wanted func(node.Signer) bool) []object {
	out := []object{}
	count := int32(len(n.cfg.Bakers)) //nolint:gosec // a few
	for round := int32(0); count > 0 && round <= maxRound; round++ {
		if s := n.cfg.Bakers[(level+round)%count]; wanted(s) {
			out = append(out, object{"level": level, "delegate": s.Delegate, "round": round, "consensus_key": s.Key})
		}
	}
	return out
}

func (n *Node) attestationRights(level int32, wanted func(node.Signer) bool) []object {
	out := []object{}
	for slot, s := range n.cfg.Bakers {
		if wanted(s) && (n.cfg.HasRights == nil || n.cfg.HasRights(level, s)) {
			out = append(out, object{
				"delegate": s.Delegate, "first_slot": slot, "attestation_power": 100,
				"consensus_key": s.Key,
			})
		}
	}
	return out
}

// protocols are the protocols of the head and of the block after the head.
func (n *Node) protocols() object {
	return object{"protocol": protocol, "next_protocol": n.nextProtocol()}
}

func (n *Node) nextProtocol() string { return cmp.Or(n.faults.NextProtocol, protocol) }
