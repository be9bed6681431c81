package ledgersim

import (
	"encoding/binary"
	"errors"
	"fmt"

	"highwater/internal/tezos"
)

// errParse is answered as 9405.
var errParse = errors.New("the message does not parse")

// Magic bytes beside the consensus kinds.
const magicOperation = 0x03

// parsed is the part of a message that the app reads, much less than octez's meaning.
type parsed struct {
	kind         tezos.Kind // zero for a manager operation
	chain        tezos.ChainID
	level, round uint32
	op           *managerOp
}

// reader takes fields from the front of a message. After the first shortage every field is zero and failed is set.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || len(r.b) < n {
		r.failed = true
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

func parseMessage(b []byte) (parsed, error) {
	r := &reader{b: b}
	var p parsed
	switch magic := r.u8(); magic {
	case byte(tezos.Block):
		p = parseBlock(r)
	case byte(tezos.Preattestation), byte(tezos.Attestation):
		// The app ignores the tag inside, the slot and the bytes after the payload hash.
		p.chain = tezos.ChainID(r.take(4))
		r.take(32 + 1 + 2)
		p.level, p.round = r.u32(), r.u32()
		r.take(32)
		p.kind = tezos.Kind(magic)
	default:
		r.failed = true
	}
	if r.failed {
		return parsed{}, errParse
	}
	return p, nil
}

// parseBlock reads chain, level and the round at the end of the fitness. The rest of the block may be missing.
func parseBlock(r *reader) (p parsed) {
	p.kind, p.chain, p.level = tezos.Block, tezos.ChainID(r.take(4)), r.u32()
	r.take(1 + 32 + 8 + 1 + 32)
	size := r.u32()
	if size != 33 && size != 37 {
		r.failed = true
		return p
	}
	fit := &reader{b: r.take(int(size)), failed: r.failed}
	r.failed = r.failed || fit.u32() != 1 || fit.u8() != 2
	last := fit.b[len(fit.b)-8:]
	r.failed = r.failed || fit.failed || binary.BigEndian.Uint32(last) != 4
	p.round = binary.BigEndian.Uint32(last[4:])
	return p
}

// xtz is an amount as the app shows amounts: without trailing zeros after the point.
func xtz(mutez uint64) string {
	whole, rest := mutez/1_000_000, mutez%1_000_000
	if rest == 0 {
		return fmt.Sprintf("%d XTZ", whole)
	}
	s := fmt.Sprintf("%d.%06d", whole, rest)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	return s + " XTZ"
}
