package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"

	"highwater/internal/tezos"
)

// Bounds of the lists in a block: Octez allows 2048 consensus operations, and no committee has more members than slots
// (7000).
const (
	maxOps       = 2048
	maxCommittee = 7000
	maxDALDigits = 400
)

// Operation is a consensus operation of a block, or an aggregate of consensus operations.
type Operation struct {
	Kind        tezos.Kind // Preattestation or Attestation
	Protocol    string     // hash, as text
	Branch      tezos.Hash32
	Level       int32
	Round       int32
	PayloadHash tezos.Hash32
	Aggregate   bool // a common signature of many tz4 keys, all over the same bytes
	Slot        uint16
	DAL         *big.Int // the bitset of an attestation with DAL; nil without. Not for aggregates.
	Signature   tezos.Signature
	Signers     []Signer // a single signer, or the committee of an aggregate
}

// ConsensusOperations asks for the consensus operations of a block: attestations are of the level before the block,
// preattestations of the block's own level.
func (c *Client) ConsensusOperations(ctx context.Context, block tezos.Hash32) ([]Operation, error) {
	// Only the metadata name the signers, and a node leaves out large metadata without "always".
	return ask(ctx, c, blockPath(block)+"/operations/0", url.Values{"metadata": {"always"}}, maxOperations,
		parseOperations)
}

type jsonOperation struct {
	Protocol  string        `json:"protocol"`
	Branch    string        `json:"branch"`
	Contents  []jsonContent `json:"contents"`
	Signature string        `json:"signature"`
}

type jsonContent struct {
	Kind string `json:"kind"`
	jsonConsensus
	Slot      *uint16         `json:"slot"`
	DAL       *string         `json:"dal_attestation"`
	Aggregate *jsonConsensus  `json:"consensus_content"`
	Committee json.RawMessage `json:"committee"`
	Metadata  *jsonMetadata   `json:"metadata"`
}

type jsonConsensus struct {
	Level       *int32 `json:"level"`
	Round       *int32 `json:"round"`
	PayloadHash string `json:"block_payload_hash"`
}

type jsonMetadata struct {
	Delegate  string `json:"delegate"`
	Key       string `json:"consensus_key"`
	Committee []struct {
		Delegate string `json:"delegate"`
		Key      string `json:"consensus_pkh"`
	} `json:"committee"`
}

// form is how a kind of operation is written.
type form struct {
	kind      tezos.Kind
	aggregate bool
	dal       bool
}

// forms has the names since Oxford, and the older names: octez still answers with the older names for version 0.
var forms = map[string]form{
	"preattestation":            {kind: tezos.Preattestation},
	"attestation":               {kind: tezos.Attestation},
	"attestation_with_dal":      {kind: tezos.Attestation, dal: true},
	"preattestations_aggregate": {kind: tezos.Preattestation, aggregate: true},
	"attestations_aggregate":    {kind: tezos.Attestation, aggregate: true},
	"preendorsement":            {kind: tezos.Preattestation},
	"endorsement":               {kind: tezos.Attestation},
	"endorsement_with_dal":      {kind: tezos.Attestation, dal: true},
}

func parseOperations(b []byte) ([]Operation, error) {
	var list []jsonOperation
	if err := read(b, &list); err != nil {
		return nil, err
	}
	if list == nil {
		return nil, errors.New("no list of operations")
	}
	if len(list) > maxOps {
		return nil, fmt.Errorf("%d consensus operations: a block has at most %d", len(list), maxOps)
	}
	out := make([]Operation, 0, len(list))
	for i, op := range list {
		parsed, err := op.parse()
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
		out = append(out, parsed)
	}
	return out, nil
}

func (op jsonOperation) parse() (Operation, error) {
	if len(op.Contents) != 1 {
		return Operation{}, fmt.Errorf("a consensus operation has a single content, not %d", len(op.Contents))
	}
	content := op.Contents[0]
	f, ok := forms[content.Kind]
	if !ok {
		return Operation{}, fmt.Errorf("%.60q is no known kind of consensus operation", content.Kind)
	}
	out := Operation{Kind: f.kind, Aggregate: f.aggregate, Protocol: cut(op.Protocol)}
	var err error
	if out.Branch, err = blockHash(op.Branch); err != nil {
		return Operation{}, err
	}
	if out.Signature, err = tezos.ParseSignature(op.Signature); err != nil {
		return Operation{}, err
	}
	consensus := &content.jsonConsensus
	if f.aggregate {
		consensus = content.Aggregate
	}
	if err = out.setConsensus(consensus); err != nil {
		return Operation{}, err
	}
	if f.aggregate {
		err = out.setCommittee(content)
	} else {
		err = out.setSingle(content, f)
	}
	if err != nil {
		return Operation{}, err
	}
	return out, nil
}

func (o *Operation) setConsensus(c *jsonConsensus) (err error) {
	if c == nil {
		return errors.New("consensus_content is missing")
	}
	if o.Level, o.Round, err = position(c.Level, c.Round); err != nil {
		return err
	}
	if o.PayloadHash, err = tezos.ParseHash32(c.PayloadHash); err != nil {
		return err
	}
	if o.PayloadHash.PayloadHash() != c.PayloadHash {
		return fmt.Errorf("%s is no block payload hash", c.PayloadHash)
	}
	return nil
}

// errNoMetadata: the node left out the metadata, or has pruned the metadata.
var errNoMetadata = errors.New("the metadata with the signers are missing")

func (o *Operation) setSingle(c jsonContent, f form) error {
	if c.Metadata == nil || c.Metadata.Delegate == "" {
		return errNoMetadata
	}
	if c.Slot == nil {
		return errors.New("the slot is missing")
	}
	o.Slot = *c.Slot
	if f.dal {
		if c.DAL == nil || len(*c.DAL) > maxDALDigits {
			return errors.New("the DAL attestation is missing or too long")
		}
		n, ok := new(big.Int).SetString(*c.DAL, 10)
		if !ok || n.Sign() < 0 {
			return fmt.Errorf("%.40q is no DAL attestation", *c.DAL)
		}
		o.DAL = n
	}
	s, err := newSigner(c.Metadata.Delegate, c.Metadata.Key)
	if err != nil {
		return err
	}
	o.Signers = []Signer{s}
	return nil
}

// setCommittee reads the signers of an aggregate. The committee in the content has slots (numbers for preattestations,
// objects for attestations), and the committee in the metadata has keys, in the same order. Protocols write power in
// different ways, and power is ignored.
func (o *Operation) setCommittee(c jsonContent) error {
	if c.Metadata == nil || c.Metadata.Committee == nil {
		return errNoMetadata
	}
	var slots []json.RawMessage
	if err := read(c.Committee, &slots); err != nil {
		return fmt.Errorf("committee: %w", err)
	}
	members := c.Metadata.Committee
	if len(members) > maxCommittee || len(members) != len(slots) {
		return fmt.Errorf("a committee of %d slots and %d keys", len(slots), len(members))
	}
	o.Signers = make([]Signer, 0, len(members))
	for _, m := range members {
		if m.Key == "" {
			return errors.New("a member of a committee has no consensus key")
		}
		s, err := newSigner(m.Delegate, m.Key)
		if err != nil {
			return err
		}
		o.Signers = append(o.Signers, s)
	}
	return nil
}

// Operation tags (Octez, operation_repr.ml).
const (
	tagPreattestation     = 0x14
	tagAttestation        = 0x15
	tagAttestationWithDAL = 0x17
	tagBLSPreattestation  = 0x28
	tagBLSAttestation     = 0x29
)

// Payload gives the bytes under the operation's signature for a key of the curve, watermark byte first. The layout is
// the layout of the known protocols: verify the signature before anything is concluded from a difference.
func (o *Operation) Payload(chain tezos.ChainID, curve tezos.Curve) []byte {
	b := append([]byte{byte(o.Kind)}, chain[:]...)
	b = append(b, o.Branch[:]...)
	b = append(b, o.tag(curve))
	if curve != tezos.BLS12381 {
		b = binary.BigEndian.AppendUint16(b, o.Slot)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(o.Level)) //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint32(b, uint32(o.Round)) //nolint:gosec // not negative
	b = append(b, o.PayloadHash[:]...)
	if curve != tezos.BLS12381 && o.DAL != nil {
		b = appendNatural(b, o.DAL)
	}
	return b
}

func (o *Operation) tag(curve tezos.Curve) byte {
	switch {
	case curve == tezos.BLS12381 && o.Kind == tezos.Preattestation:
		return tagBLSPreattestation
	case curve == tezos.BLS12381:
		return tagBLSAttestation
	case o.Kind == tezos.Preattestation:
		return tagPreattestation
	case o.DAL != nil:
		return tagAttestationWithDAL
	}
	return tagAttestation
}

// appendNatural writes a natural as Zarith does: groups of 7 bits, the lowest first, the top bit of each byte but the
// last set.
func appendNatural(b []byte, n *big.Int) []byte {
	rest := new(big.Int).Set(n)
	low := new(big.Int)
	mask := big.NewInt(0x7f)
	for {
		group := byte(low.And(rest, mask).Uint64()) //nolint:gosec // seven bits
		rest.Rsh(rest, 7)
		if rest.Sign() == 0 {
			return append(b, group)
		}
		b = append(b, group|0x80)
	}
}
