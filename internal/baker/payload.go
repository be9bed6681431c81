// Package baker asks a signer as octez-baker does: the package builds the payloads, speaks the protocol of the octez
// client, verifies the answers, and keeps a list of every signature ever made. The demo, the tests and the load
// generator use the package.
package baker

import (
	"encoding/binary"

	"highwater/internal/tezos"
)

// Step is a payload to sign at one place of a chain.
type Step struct {
	Chain tezos.ChainID
	Kind  tezos.Kind
	Level int32
	Round int32
	// Variant makes other bytes for the same place: the baker saw another block, or two bakers have one key.
	Variant byte
	// DAL adds a bitset of DAL bytes to an attestation of a tz1–tz3 key.
	DAL int
}

// Operation tags (Octez, operation_repr.ml).
const (
	tagPreattestation     = 0x14
	tagAttestation        = 0x15
	tagAttestationWithDAL = 0x17
	tagBLSPreattestation  = 0x28
	tagBLSAttestation     = 0x29
)

// Payload returns the bytes to sign for a key of the curve, watermark byte first.
func (s Step) Payload(curve tezos.Curve) []byte {
	if s.Kind == tezos.Block {
		return s.block()
	}
	b := append([]byte{byte(s.Kind)}, s.Chain[:]...)
	b = append(b, fill(32, 0xb0)...) // branch
	b = append(b, s.tag(curve))
	if curve != tezos.BLS12381 {
		b = append(b, 0, 0) // slot
	}
	b = appendInt(b, s.Level)
	b = appendInt(b, s.Round)
	b = append(b, fill(32, s.Variant)...) // block payload hash
	if s.DAL > 0 && s.Kind == tezos.Attestation && curve != tezos.BLS12381 {
		b = append(b, fill(s.DAL-1, 0x81)...)
		b = append(b, 0x01)
	}
	return b
}

func (s Step) tag(curve tezos.Curve) byte {
	switch {
	case curve == tezos.BLS12381 && s.Kind == tezos.Preattestation:
		return tagBLSPreattestation
	case curve == tezos.BLS12381:
		return tagBLSAttestation
	case s.Kind == tezos.Preattestation:
		return tagPreattestation
	case s.DAL > 0:
		return tagAttestationWithDAL
	}
	return tagAttestation
}

// block is a header in today's layout: without seed nonce, payload round as the round.
func (s Step) block() []byte {
	b := append([]byte{byte(tezos.Block)}, s.Chain[:]...)
	b = appendInt(b, s.Level)
	b = append(b, 24)                                                     // protocol
	b = append(b, fill(32, 0xa0)...)                                      // predecessor
	b = binary.BigEndian.AppendUint64(b, 1_700_000_000+uint64(s.Level)*6) //nolint:gosec // not negative
	b = append(b, 4)                                                      // validation passes
	b = append(b, fill(32, s.Variant)...)                                 // operations
	// fitness: version, level, no locked round, predecessor round, round
	b = appendInt(b, 33)
	b = append(appendInt(b, 1), 2)
	b = appendInt(appendInt(b, 4), s.Level)
	b = appendInt(b, 0)
	b = appendInt(appendInt(b, 4), -1)
	b = appendInt(appendInt(b, 4), s.Round)
	b = append(b, fill(32, 0xc0)...) // context
	b = append(b, fill(32, 0xbf)...) // payload hash
	b = appendInt(b, s.Round)        // payload round
	b = append(b, fill(8, 0x3f)...)  // proof of work nonce
	return append(b, 0, 2)           // no seed nonce, votes
}

func appendInt(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v)) //nolint:gosec // the bits matter
}

func fill(n int, c byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = c
	}
	return b
}
