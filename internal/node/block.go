package node

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"highwater/internal/tezos"
)

// Signer is the key of a signature, and the baker behind the key. Both are the same for a baker without a consensus
// key.
type Signer struct {
	Delegate tezos.PublicKeyHash
	Key      tezos.PublicKeyHash
}

// Makers are the signers behind a block. Baker and Proposer differ when a payload was proposed again in a later round:
// the proposer made the payload, at the payload's round, and the baker signed the block, at the block's round.
type Makers struct {
	Baker    Signer
	Proposer Signer
}

// Makers asks for the makers of a block.
func (c *Client) Makers(ctx context.Context, block tezos.Hash32) (Makers, error) {
	return ask(ctx, c, blockPath(block)+"/metadata", nil, maxMetadata, parseMakers)
}

func parseMakers(b []byte) (Makers, error) {
	var v struct {
		Baker       string `json:"baker"`
		BakerKey    string `json:"baker_consensus_key"`
		Proposer    string `json:"proposer"`
		ProposerKey string `json:"proposer_consensus_key"`
	}
	if err := read(b, &v); err != nil {
		return Makers{}, err
	}
	baker, err := newSigner(v.Baker, v.BakerKey)
	if err != nil {
		return Makers{}, fmt.Errorf("baker: %w", err)
	}
	proposer, err := newSigner(v.Proposer, v.ProposerKey)
	if err != nil {
		return Makers{}, fmt.Errorf("proposer: %w", err)
	}
	return Makers{Baker: baker, Proposer: proposer}, nil
}

// newSigner reads a delegate and its consensus key. Answers from before Lima have no consensus key: the delegate's own
// key signed.
func newSigner(delegate, key string) (s Signer, err error) {
	if s.Delegate, err = tezos.ParsePublicKeyHash(delegate); err != nil {
		return Signer{}, err
	}
	if key == "" {
		s.Key = s.Delegate
		return s, nil
	}
	if s.Key, err = tezos.ParsePublicKeyHash(key); err != nil {
		return Signer{}, err
	}
	return s, nil
}

// RawHeader asks for the bytes of a block's header, signature included.
func (c *Client) RawHeader(ctx context.Context, block tezos.Hash32) ([]byte, error) {
	path := blockPath(block) + "/header/raw"
	raw, err := ask(ctx, c, path, nil, maxSmall, parseHex)
	if err == nil && tezos.Hash32(tezos.Digest(raw)) != block {
		return nil, c.bad(path, errors.New("the bytes are another block")) // a block hash is the BLAKE2b-256 of the header
	}
	return raw, err
}

func parseHex(b []byte) ([]byte, error) {
	var text string
	if err := read(b, &text); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("not hex: %w", err)
	}
	return raw, nil
}

// BlockPayload splits the raw header of a block into the baker's payload (watermark byte and chain first) and the
// signature, given the curve of the baker's key.
func BlockPayload(chain tezos.ChainID, curve tezos.Curve, raw []byte) (payload []byte, sig tezos.Signature, err error) {
	size := 64
	if curve == tezos.BLS12381 {
		size = 96
	}
	if len(raw) <= size {
		return nil, tezos.Signature{}, fmt.Errorf("a block header has more than %d bytes", size)
	}
	unsigned := raw[:len(raw)-size]
	if sig, err = tezos.NewSignature(curve, raw[len(raw)-size:]); err != nil {
		return nil, tezos.Signature{}, err
	}
	return bytes.Join([][]byte{{byte(tezos.Block)}, chain[:], unsigned}, nil), sig, nil
}
