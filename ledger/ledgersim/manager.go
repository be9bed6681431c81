package ledgersim

import (
	"bytes"

	"highwater/internal/tezos"
)

// managerOp is what the app sees in a manager operation: reveals of the selected key, and at most one delegation by it.
type managerOp struct {
	reveals    int
	delegation bool
	delegate   tezos.PublicKeyHash // the zero value for a withdrawal: nobody's hash
	fee        uint64
	whole      bool // it ended where an operation ends, and had contents
}

// Tags of manager operations.
const (
	opReveal     = 0x6b
	opDelegation = 0x6e
)

// managerReader reads a manager operation as the app does, byte after byte: an error is found with the first byte that shows it, and an
// operation that is cut short is no error before the message is to be signed.
type managerReader struct {
	reader

	signer *tezos.PublicKey
	last   tezos.Curve // the highest curve that the app knows
	wrong  bool
}

// stopped tells that nothing more is read: the bytes are at their end, or one of them is wrong.
func (r *managerReader) stopped() bool { return r.failed || r.wrong }

// parseManager reads what follows the magic byte, for the key that was selected. It tells whether the app takes the bytes, as a whole operation
// or as the beginning of one.
func parseManager(b []byte, signer *tezos.PublicKey, last tezos.Curve) (*managerOp, bool) {
	r, op := &managerReader{reader: reader{b: b}, signer: signer, last: last}, new(managerOp)
	r.take(32)
	for !r.stopped() && len(r.b) > 0 {
		r.content(op)
	}
	op.whole = !r.stopped() && (op.delegation || op.reveals > 0)
	return op, !r.wrong
}

// content reads one operation of the group.
func (r *managerReader) content(op *managerOp) {
	tag := r.u8()
	if len(r.b) == 0 { // the app looks at the tag when the next byte is there
		r.failed = true
		return
	}
	if tag != opReveal && tag != opDelegation {
		r.wrong = true
		return
	}
	source := r.take(tezos.PublicKeyHashLen)
	r.wrong = r.wrong || !r.failed && !bytes.Equal(source, r.signer.Hash().Bytes())
	op.fee += r.natural()
	for range 3 { // counter, gas limit, storage limit
		r.natural()
	}
	if tag == opReveal {
		r.reveal(op)
	} else {
		r.delegation(op)
	}
}

// natural reads a Zarith natural that fits 64 bits: ten bytes at the most, of which the tenth is 1.
func (r *managerReader) natural() (n uint64) {
	for shift := 0; !r.stopped(); shift += 7 {
		c := r.u8()
		if r.failed {
			return 0
		}
		if shift == 63 && c != 1 {
			r.wrong = true
			return 0
		}
		n |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n
		}
	}
	return 0
}

// reveal reads a public key, which must be the signer's.
func (r *managerReader) reveal(op *managerOp) {
	if r.stopped() {
		return
	}
	curve := r.u8()
	r.wrong = !r.failed && curve != byte(r.signer.Curve())
	if r.stopped() {
		return
	}
	key := r.take(len(r.signer.Bytes()))
	r.wrong = !r.failed && !bytes.Equal(key, r.signer.Bytes())
	if !r.stopped() {
		op.reveals++
	}
}

// delegation reads a delegate, or that there is none. Any flag but 0 means that there is one.
func (r *managerReader) delegation(op *managerOp) {
	if r.stopped() || len(r.b) == 0 {
		r.failed = true
		return
	}
	if op.delegation { // one in a group
		r.wrong = true
		return
	}
	flag := r.u8()
	if flag != 0 {
		raw := r.take(tezos.PublicKeyHashLen)
		if r.failed {
			return
		}
		h, err := tezos.PublicKeyHashFromBytes(raw)
		r.wrong = err != nil || h.Curve > r.last
		op.delegate = h
	}
	op.delegation = !r.wrong
}
