package tezos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Kind is a kind of consensus payload. The values are the watermark ("magic") bytes of Octez's signer.
type Kind uint8

// The consensus kinds. An attestation, an attestation with DAL and the tz4 form of an attestation are one kind with
// one mark.
const (
	Block          Kind = 0x11
	Preattestation Kind = 0x12
	Attestation    Kind = 0x13
)

// Kinds lists the consensus kinds in their order on every screen.
var Kinds = []Kind{Block, Preattestation, Attestation}

// String is the field's name of the kind.
func (k Kind) String() string {
	switch k {
	case Block:
		return "block"
	case Preattestation:
		return "preattestation"
	case Attestation:
		return "attestation"
	default:
		return fmt.Sprintf("kind(0x%02x)", uint8(k))
	}
}

// ParseKind reads the name of a kind.
func ParseKind(text string) (Kind, error) {
	for _, k := range Kinds {
		if k.String() == text {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q: the kinds are block, preattestation, attestation", text)
}

// MarshalText carries the name through JSON and TOML. A kind unknown to ParseKind is an error.
func (k Kind) MarshalText() ([]byte, error) {
	if !slices.Contains(Kinds, k) {
		return nil, fmt.Errorf("%s has no name", k)
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := ParseKind(string(b))
	if err != nil {
		return err
	}
	*k = v
	return nil
}

// WarnBlockLayout marks a block with an unknown layout after the context hash: the layout of no protocol known here.
const WarnBlockLayout = "block_layout"

// Request is a decoded consensus payload. Level and Round are never negative.
type Request struct {
	Chain  ChainID
	Kind   Kind
	Level  int32
	Round  int32
	Digest [32]byte // BLAKE2b-256 of the whole payload
	// Warning is empty, or WarnBlockLayout.
	Warning string
}

// ErrPayload is returned, wrapped in a *PayloadError, when a payload is not a well-formed consensus payload for the
// key's curve.
var ErrPayload = errors.New("the payload cannot be decoded")

// PayloadError says which field of a payload is wrong, and how.
type PayloadError struct {
	Field  string // empty, curve, length, magic, tag, level, round, fitness, locked round, payload round, dal
	Detail string
}

func (e *PayloadError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrPayload, e.Field, e.Detail)
}

// Unwrap makes errors.Is(err, ErrPayload) true.
func (e *PayloadError) Unwrap() error { return ErrPayload }

// HintText is the advice for the parts of a payload that a newer protocol may write in another way.
func (e *PayloadError) HintText() string {
	switch e.Field {
	case "magic", "tag", "length", "fitness", "dal":
		return "a newer protocol of the chain may be the cause: `highwater check` tells; then upgrade Highwater. " +
			"Else the client sends wrong bytes"
	}
	return ""
}

func bad(field, format string, args ...any) error {
	return &PayloadError{Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Layouts of consensus operations: magic 1 · chain 4 · branch 32 · tag 1 · [slot 2] · level 4 · round 4 · payload
// hash 32 · [dal].
const (
	offTag        = 1 + 4 + 32
	slottedLevel  = offTag + 1 + 2
	slottedLen    = slottedLevel + 4 + 4 + 32 // 80
	slotlessLevel = offTag + 1
	slotlessLen   = slotlessLevel + 4 + 4 + 32 // 78
)

// Tags of the operation inside (Octez, operation_repr.ml; the BLS tags belong to its bls_mode encoding).
const (
	tagPreattestation     = 0x14
	tagAttestation        = 0x15
	tagAttestationWithDAL = 0x17
	tagBLSPreattestation  = 0x28
	tagBLSAttestation     = 0x29
)

// Decode reads a consensus payload, strictly, with the layout that belongs to the curve of the signing key: the same
// bytes read with the other layout would give another level. The error is a *PayloadError.
func Decode(curve Curve, payload []byte) (Request, error) {
	if len(payload) == 0 {
		return Request{}, bad("empty", "no bytes to sign")
	}
	if curve > BLS12381 {
		return Request{}, bad("curve", "a %s key (%s) can be no consensus key", curve.Prefix(), curve)
	}
	var req Request
	var err error
	switch Kind(payload[0]) {
	case Block:
		req, err = decodeBlock(payload)
	case Preattestation, Attestation:
		req, err = decodeOperation(curve, payload)
	default:
		return Request{}, bad("magic", "0x%02x is not a block (0x11), a preattestation (0x12) or an attestation (0x13)",
			payload[0])
	}
	if err != nil {
		return Request{}, err
	}
	req.Kind = Kind(payload[0])
	req.Digest = Digest(payload)
	return req, nil
}

func decodeOperation(curve Curve, p []byte) (Request, error) {
	kind := Kind(p[0])
	if len(p) <= offTag {
		return Request{}, bad("length", "the %s is cut at byte %d", kind, len(p))
	}
	levelAt, size, err := operationLayout(curve, kind, p[offTag])
	if err != nil {
		return Request{}, err
	}
	if len(p) < size {
		return Request{}, bad("length", "the %s of a %s key has %d bytes, not %d", kind, curve.Prefix(), size, len(p))
	}
	if p[offTag] == tagAttestationWithDAL {
		if err = checkNatural(p[size:]); err != nil {
			return Request{}, err
		}
	} else if len(p) != size {
		return Request{}, bad("length", "the %s of a %s key has %d bytes, not %d", kind, curve.Prefix(), size, len(p))
	}
	req := Request{Chain: ChainID(p[1:5])}
	if req.Level, err = natural31("level", p[levelAt:]); err != nil {
		return Request{}, err
	}
	if req.Round, err = natural31("round", p[levelAt+4:]); err != nil {
		return Request{}, err
	}
	return req, nil
}

// operationLayout returns the offset of the level and the length without the DAL bitset. An error says that tag, kind
// and curve do not belong together.
func operationLayout(curve Curve, kind Kind, tag byte) (levelAt, size int, err error) {
	switch {
	case curve == BLS12381 && kind == Preattestation && tag == tagBLSPreattestation,
		curve == BLS12381 && kind == Attestation && tag == tagBLSAttestation:
		return slotlessLevel, slotlessLen, nil
	case curve < BLS12381 && kind == Preattestation && tag == tagPreattestation,
		curve < BLS12381 && kind == Attestation && (tag == tagAttestation || tag == tagAttestationWithDAL):
		return slottedLevel, slottedLen, nil
	}
	return 0, 0, bad("tag", "operation tag %d is not the tag of the %s of a %s key", tag, kind, curve.Prefix())
}

// checkNatural checks that b is one Zarith natural and nothing else: groups of 7 bits, the top bit set in every byte
// but the last, no needless last zero.
func checkNatural(b []byte) error {
	for i, c := range b {
		if c&0x80 != 0 {
			continue
		}
		if i != len(b)-1 {
			return bad("dal", "%d bytes follow the bitset", len(b)-1-i)
		}
		if c == 0 && i > 0 {
			return bad("dal", "the bitset ends in a needless zero byte")
		}
		return nil
	}
	return bad("dal", "the bitset is missing or has no end")
}

// Layout of a block header: magic 1 · chain 4 · level 4 · proto 1 · predecessor 32 · timestamp 8 · passes 1 ·
// operations 32 · fitness 4+n · context 32 · and the protocol's own part.
const (
	offBlockLevel = 1 + 4
	offFitness    = 1 + 4 + 4 + 1 + 32 + 8 + 1 + 32 // 83
	contextLen    = 32
)

func decodeBlock(p []byte) (Request, error) {
	if len(p) < offFitness+4 {
		return Request{}, bad("length", "the block header is cut at byte %d", len(p))
	}
	req := Request{Chain: ChainID(p[1:5])}
	var err error
	if req.Level, err = natural31("level", p[offBlockLevel:]); err != nil {
		return Request{}, err
	}
	fit, rest, err := decodeFitness(p[offFitness:])
	if err != nil {
		return Request{}, err
	}
	if fit.level != req.Level {
		return Request{}, bad("level", "the header says %d, the fitness %d", req.Level, fit.level)
	}
	req.Round = fit.round
	if len(rest) < contextLen {
		return Request{}, bad("length", "the header is cut before the end of the context hash")
	}
	known, err := checkProtocolPart(rest[contextLen:], fit.round)
	if err != nil {
		return Request{}, err
	}
	if !known {
		req.Warning = WarnBlockLayout
	}
	return req, nil
}

type fitness struct{ level, round int32 }

// decodeFitness reads a Tenderbake fitness: total length (33 or 37), and, each with its length, version, level,
// locked round (or none), predecessor round (stored as -1-round) and round. rest is the header after the fitness.
func decodeFitness(b []byte) (fit fitness, rest []byte, err error) {
	size := binary.BigEndian.Uint32(b)
	b = b[4:]
	if size != 33 && size != 37 {
		return fit, nil, bad("fitness", "%d bytes, where Tenderbake has 33, or 37 with a locked round", size)
	}
	if len(b) < int(size) {
		return fit, nil, bad("length", "the header is cut inside the fitness")
	}
	fields, rest := b[:size], b[size:]
	var f [5][]byte
	for i, want := range [5]int{1, 4, int(size) - 33, 4, 4} {
		size := uint32(want) //nolint:gosec // 0, 1 or 4
		if len(fields) < 4 || binary.BigEndian.Uint32(fields) != size || len(fields) < 4+want {
			return fit, nil, bad("fitness", "field %d does not have %d bytes", i+1, want)
		}
		f[i], fields = fields[4:4+want], fields[4+want:]
	}
	if f[0][0] != 2 {
		return fit, nil, bad("fitness", "version %d, where Tenderbake has 2", f[0][0])
	}
	if fit.level, err = natural31("level", f[1]); err != nil {
		return fit, nil, err
	}
	if fit.round, err = natural31("round", f[4]); err != nil {
		return fit, nil, err
	}
	if f[3][0]&0x80 == 0 {
		return fit, nil, bad("fitness", "the predecessor's round is not stored as a negative number")
	}
	if len(f[2]) == 4 {
		locked, err := natural31("locked round", f[2])
		if err != nil {
			return fit, nil, err
		}
		if locked >= fit.round {
			return fit, nil, bad("locked round", "%d is not below the round, %d", locked, fit.round)
		}
	}
	return fit, rest, nil
}

// checkProtocolPart checks the protocol's own part: payload hash 32 · payload round 4 · nonce 8 · seed nonce hash
// (00, or ff and 32) · votes 1. A part of another shape is unknown, and no error: a protocol upgrade must not stop a
// baker.
func checkProtocolPart(b []byte, round int32) (known bool, err error) {
	const fixed = 32 + 4 + 8
	plain := len(b) == fixed+2 && b[fixed] == 0x00
	seeded := len(b) == fixed+2+32 && b[fixed] == 0xff
	if !plain && !seeded {
		return false, nil
	}
	payloadRound, err := natural31("payload round", b[32:])
	if err != nil {
		return true, err
	}
	if payloadRound > round {
		return true, bad("payload round", "%d is above the round, %d", payloadRound, round)
	}
	return true, nil
}

// natural31 reads a big-endian int32 that must not be negative.
func natural31(field string, b []byte) (int32, error) {
	v := int32(binary.BigEndian.Uint32(b)) //nolint:gosec // the sign is checked on the next line
	if v < 0 {
		return 0, bad(field, "%d is negative", v)
	}
	return v, nil
}
