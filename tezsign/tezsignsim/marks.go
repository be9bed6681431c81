package tezsignsim

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"

	"highwater/internal/tezos"
)

// mark is a watermark; marks are one key's watermarks, by kind.
type (
	mark struct {
		level uint64
		round uint32
	}
	marks map[tezos.Kind]mark
)

// above is the gadget's rule, strictly increasing: 0/0 never signs.
func (m mark) above(last mark) bool {
	return m.level > last.level || (m.level == last.level && m.round > last.round)
}

func (m marks) clone() marks {
	out := marks{}
	for _, k := range tezos.Kinds {
		out[k] = m[k]
	}
	return out
}

// A state file has two slots, written in turn: sequence 8 · three times level 8, round 4 · CRC-32. A slot of zero
// bytes was never written.
const slotLen = 8 + 3*12 + 4

var errChecksum = errors.New("load state: state corrupted: checksum")

func encodeSlot(seq uint64, m marks) []byte {
	b := binary.LittleEndian.AppendUint64(nil, seq)
	for _, k := range tezos.Kinds {
		b = binary.LittleEndian.AppendUint64(b, m[k].level)
		b = binary.LittleEndian.AppendUint32(b, m[k].round)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// decodeSlot returns sequence 0 for a slot that was never written, and false for a broken slot.
func decodeSlot(b []byte) (seq uint64, m marks, ok bool) {
	m = marks{}
	if allZero(b) {
		return 0, m, true
	}
	body := b[:slotLen-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(b[slotLen-4:]) {
		return 0, nil, false
	}
	for i, k := range tezos.Kinds {
		m[k] = mark{binary.LittleEndian.Uint64(b[8+12*i:]), binary.LittleEndian.Uint32(b[16+12*i:])}
	}
	return binary.LittleEndian.Uint64(b), m, true
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func stateName(alias string) string { return "keys/" + alias + ".level2.bin" }

// loadMarks reads a state file as the gadget does. Without a file the watermarks are zero, silently. With one broken
// slot the gadget uses the intact slot and calls the state corrupted. Two broken slots are an error.
func loadMarks(disk files, alias string) (m marks, corrupted bool, err error) {
	b, err := disk.read(stateName(alias))
	if errors.Is(err, fs.ErrNotExist) {
		return marks{}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if len(b) != 2*slotLen {
		return nil, false, errChecksum
	}
	seq0, m0, ok0 := decodeSlot(b[:slotLen])
	seq1, m1, ok1 := decodeSlot(b[slotLen:])
	switch {
	case !ok0 && !ok1:
		return nil, false, errChecksum
	case !ok0:
		return m1, true, nil
	case !ok1:
		return m0, true, nil
	case seq1 > seq0:
		return m1, false, nil
	default:
		return m0, false, nil
	}
}

// saveMarks writes the slots in turn.
func saveMarks(disk files, alias string, m marks) error {
	b, err := disk.read(stateName(alias))
	if err != nil || len(b) != 2*slotLen {
		b = make([]byte, 2*slotLen)
	}
	seq0, _, ok0 := decodeSlot(b[:slotLen])
	seq1, _, ok1 := decodeSlot(b[slotLen:])
	at := 0
	if ok0 && (!ok1 || seq1 <= seq0) && seq0 > 0 {
		at = slotLen
	}
	copy(b[at:], encodeSlot(max(seq0, seq1)+1, m))
	return disk.write(stateName(alias), b)
}
