package hwm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"highwater/internal/tezos"
)

var (
	// ErrCorrupt is returned when a record's checksum, length or content is wrong.
	ErrCorrupt = errors.New("corrupt record")
	// ErrVersion is returned for a record of a version unknown to this program.
	ErrVersion = errors.New("record of an unknown version")
)

// Every record is version 1 · body · CRC-32C over (database key · version · body). The database key is part of the
// sum: a record under a wrong key is found out.
const (
	recordVersion = 1
	crcLen        = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Lengths in bytes of the database keys.
const (
	keyLen        = 4 + tezos.PublicKeyHashLen + 1
	ceilingKeyLen = 4 + tezos.PublicKeyHashLen
)

// AppendBinary appends the 26 bytes under which a mark is stored: chain 4 · public key hash 21 · kind 1.
func (k Key) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, k.Chain[:]...)
	b = append(b, byte(k.PKH.Curve))
	b = append(b, k.PKH.Hash[:]...)
	return append(b, byte(k.Kind)), nil
}

// MarshalBinary gives the 26 bytes under which a mark is stored.
func (k Key) MarshalBinary() ([]byte, error) { return k.AppendBinary(make([]byte, 0, keyLen)) }

// UnmarshalBinary reads the 26 bytes under which a mark is stored.
func (k *Key) UnmarshalBinary(b []byte) error {
	if len(b) != keyLen {
		return fmt.Errorf("%w: a mark's key has %d bytes, not %d", ErrCorrupt, keyLen, len(b))
	}
	var ck CeilingKey
	if err := ck.UnmarshalBinary(b[:ceilingKeyLen]); err != nil {
		return err
	}
	kind := tezos.Kind(b[keyLen-1])
	if kind != tezos.Block && kind != tezos.Preattestation && kind != tezos.Attestation {
		return fmt.Errorf("%w: unknown kind 0x%02x", ErrCorrupt, uint8(kind))
	}
	*k = Key{ck.Chain, ck.PKH, kind}
	return nil
}

// MarshalBinary gives the 25 bytes under which a ceiling is stored: chain 4 · public key hash 21.
func (k CeilingKey) MarshalBinary() ([]byte, error) { return append(k.Chain[:], k.PKH.Bytes()...), nil }

// UnmarshalBinary reads the 25 bytes under which a ceiling is stored.
func (k *CeilingKey) UnmarshalBinary(b []byte) error {
	if len(b) != ceilingKeyLen {
		return fmt.Errorf("%w: a ceiling's key has %d bytes, not %d", ErrCorrupt, ceilingKeyLen, len(b))
	}
	pkh, err := tezos.PublicKeyHashFromBytes(b[4:])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	*k = CeilingKey{tezos.ChainID(b[:4]), pkh}
	return nil
}

// A mark's body: flags 1 · source 1 · level 4 · round 4 · milliseconds 8 · digest 32 · signature length 1 · signature
// 96.
const (
	maxSignature  = 96
	markLen       = 1 + 1 + 4 + 4 + 8 + 32 + 1 + maxSignature
	flagHasDigest = 1
)

// MarkRecordLen is the length of a mark's record.
const MarkRecordLen = 1 + markLen + crcLen

// Encode gives the record of a mark stored under dbKey: always MarkRecordLen bytes.
func (m Mark) Encode(dbKey []byte) []byte {
	return m.AppendRecord(make([]byte, 0, MarkRecordLen), dbKey)
}

// AppendRecord appends what Encode gives.
func (m Mark) AppendRecord(b, dbKey []byte) []byte {
	from := len(b)
	b = append(b, recordVersion)
	var flags byte
	if m.HasDigest {
		flags |= flagHasDigest
	}
	b = append(b, flags, byte(m.Source))
	b = binary.BigEndian.AppendUint32(b, uint32(m.Level)) //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint32(b, uint32(m.Round)) //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint64(b, uint64(m.At.UnixMilli()))
	b = append(b, m.Digest[:]...)
	at := len(b)
	b = append(b, make([]byte, 1+maxSignature)...)
	b[at] = byte(m.Signature.Copy(b[at+1:])) //nolint:gosec // at most 96
	sum := crc32.Update(crc32.Checksum(dbKey, castagnoli), castagnoli, b[from:])
	return binary.BigEndian.AppendUint32(b, sum)
}

// DecodeMark reads the record of a mark; the signature's scheme is that of the key's curve. Errors are ErrCorrupt,
// ErrVersion.
func DecodeMark(dbKey []byte, curve tezos.Curve, record []byte) (Mark, error) {
	b, err := openRecord(dbKey, record, markLen)
	if err != nil {
		return Mark{}, err
	}
	m := Mark{
		HasDigest: b[0] == flagHasDigest,
		Source:    Source(b[1]),
		Position:  Position{int32(binary.BigEndian.Uint32(b[2:])), int32(binary.BigEndian.Uint32(b[6:]))}, //nolint:gosec // checked
		At:        time.UnixMilli(int64(binary.BigEndian.Uint64(b[10:]))).UTC(),                           //nolint:gosec // the bits matter
		Digest:    [32]byte(b[18:50]),
	}
	if b[0]&^flagHasDigest != 0 || m.Level < 0 || m.Round < 0 || sourceNames[m.Source] == "" {
		return Mark{}, fmt.Errorf("%w: a mark with impossible fields", ErrCorrupt)
	}
	n := int(b[50])
	if n > maxSignature || !allZero(b[51+n:]) {
		return Mark{}, fmt.Errorf("%w: a mark with an impossible signature", ErrCorrupt)
	}
	if n != 0 {
		if !m.HasDigest {
			return Mark{}, fmt.Errorf("%w: a floor with a signature", ErrCorrupt)
		}
		if m.Signature, err = tezos.NewSignature(curve, b[51:51+n]); err != nil {
			return Mark{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return m, nil
}

// A ceiling's body: source 1 · level 4 · milliseconds 8.
const ceilingLen = 1 + 4 + 8

// Encode gives the record of a ceiling stored under dbKey.
func (c Ceiling) Encode(dbKey []byte) []byte {
	b := []byte{recordVersion, byte(c.Source)}
	b = binary.BigEndian.AppendUint32(b, uint32(c.Level)) //nolint:gosec // not negative
	b = binary.BigEndian.AppendUint64(b, uint64(c.At.UnixMilli()))
	return appendCRC(dbKey, b)
}

// DecodeCeiling reads the record of a ceiling. Errors are ErrCorrupt, ErrVersion.
func DecodeCeiling(dbKey, record []byte) (Ceiling, error) {
	b, err := openRecord(dbKey, record, ceilingLen)
	if err != nil {
		return Ceiling{}, err
	}
	c := Ceiling{
		Source: Source(b[0]), Level: int32(binary.BigEndian.Uint32(b[1:])), //nolint:gosec // checked
		At: time.UnixMilli(int64(binary.BigEndian.Uint64(b[5:]))).UTC(), //nolint:gosec // the bits matter
	}
	if c.Level < 0 || sourceNames[c.Source] == "" {
		return Ceiling{}, fmt.Errorf("%w: a ceiling with impossible fields", ErrCorrupt)
	}
	return c, nil
}

func appendCRC(dbKey, b []byte) []byte {
	sum := crc32.Update(crc32.Checksum(dbKey, castagnoli), castagnoli, b)
	return binary.BigEndian.AppendUint32(b, sum)
}

// openRecord checks version, checksum and length, and gives the body. A negative length accepts any.
func openRecord(dbKey, record []byte, length int) ([]byte, error) {
	if len(record) < 1+crcLen {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(record))
	}
	body, sum := record[:len(record)-crcLen], record[len(record)-crcLen:]
	if got := crc32.Update(crc32.Checksum(dbKey, castagnoli), castagnoli, body); got != binary.BigEndian.Uint32(sum) {
		return nil, fmt.Errorf("%w: checksum %08x, computed %08x", ErrCorrupt, sum, got)
	}
	if body[0] != recordVersion {
		return nil, fmt.Errorf("%w: version %d, known is %d", ErrVersion, body[0], recordVersion)
	}
	if length >= 0 && len(body) != 1+length {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(body), 1+length)
	}
	return body[1:], nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Seal makes a record of any body, for a store's content beside marks.
func Seal(dbKey, body []byte) []byte {
	return appendCRC(dbKey, append([]byte{recordVersion}, body...))
}

// Unseal checks a record made by Seal and gives its body. Errors are ErrCorrupt, ErrVersion.
func Unseal(dbKey, record []byte) ([]byte, error) { return openRecord(dbKey, record, -1) }
