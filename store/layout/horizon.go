package layout

import (
	"encoding/binary"
	"fmt"
	"math"

	"highwater/hwm"
)

// horizonLen is the length of a horizon's body: level 4.
const horizonLen = 4

// EncodeHorizon makes the record of a level up to which a key may sign before its exact marks are on disk.
func EncodeHorizon(dbKey []byte, level int32) []byte {
	return hwm.Seal(dbKey, binary.BigEndian.AppendUint32(nil, uint32(level))) //nolint:gosec // not negative
}

// DecodeHorizon reads the record.
func DecodeHorizon(dbKey, record []byte) (int32, error) {
	body, err := hwm.Unseal(dbKey, record)
	if err != nil {
		return 0, err
	}
	if len(body) != horizonLen || body[0] > math.MaxInt8 {
		return 0, fmt.Errorf("%w: a horizon with impossible fields", hwm.ErrCorrupt)
	}
	return int32(binary.BigEndian.Uint32(body)), nil //nolint:gosec // not negative
}
