package ledgersim

import (
	"bytes"

	"highwater/internal/tezos"
)

// managerOp is the app's view of a manager operation: reveals of the selected key, and at most one delegation by the
// key.
type managerOp struct {
	reveals    int
	delegation bool
	delegate   tezos.PublicKeyHash // the zero value for a withdrawal: nobody's hash
	fee        uint64
	whole      bool // the bytes end at the end of an operation, with contents before
}

// Tags of manager operations.
const (
	opReveal     = 0x6b
	opDelegation = 0x6e
)

// managerReader reads a manager operation as the app does, byte after byte. The first wrong byte is an error. An
// operation that is cut short becomes an error only when the message is to be signed.
type managerReader struct {
	reader

	signer *tezos.PublicKey
	last   tezos.Curve // the highest curve known to the app
	wrong  bool
}

// stopped tells whether reading is over: no bytes are left, or a byte is wrong.
func (r *managerReader) stopped() bool { return r.failed || r.wrong }

// parseManager reads the bytes after the magic byte, for the selected key. The second result tells whether the app
// takes the bytes, as a whole operation or as the beginning of an operation.
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
	if len(r.b) == 0 { // the app looks at the tag when the next byte is present
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

// natural reads a Zarith natural of at most 64 bits: at most ten bytes, the tenth of which is 1.
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

// delegation reads a delegate, or a withdrawal. Any flag but 0 announces a delegate.
func (r *managerReader) delegation(op *managerOp) {
	if r.stopped() || len(r.b) == 0 {
		r.failed = true
		return
	}
	if op.delegation { // at most one in a group
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
