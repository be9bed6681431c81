package tezos

import "bytes"

// Registration is a decoded operation (watermark 0x03) by which a key registers as a baker: a reveal of its public
// key, a delegation to itself, or both. No other operation of watermark 0x03 is recognised.
type Registration struct {
	Reveal     bool
	Delegation bool
	// Proof tells that the reveal has the layout of Seoul and later: a byte behind the key says that no proof
	// follows.
	Proof bool
}

// Layout: magic 1 · branch 32 · contents. A content: tag 1 · source 21 · fee, counter, gas, storage (naturals) · and
// for a reveal the public key (tag 1 and the key's bytes; since Seoul followed by 00, no proof), for a delegation ff
// and the delegate 21. (Octez, operation_repr.ml.)
const (
	magicRegistration = 0x03
	tagReveal         = 107
	tagDelegation     = 110
	registrationStart = 1 + 32
	maxNatural        = 9 // bytes: more than 63 bits are no fee
)

// MaxRegistrationFee bounds the fee of a reveal or a delegation, in mutez: 1 tez, the default cap of octez-client
// (--fee-cap). The usual fee is below 0.001 tez. With the bound, a client of the signer cannot burn a baker's balance
// by fees.
const MaxRegistrationFee = 1_000_000

// IsRegistration tells whether the payload claims to be an operation of watermark 0x03.
func IsRegistration(payload []byte) bool { return len(payload) > 0 && payload[0] == magicRegistration }

// DecodeRegistration reads an operation of watermark 0x03, strictly, for the signing key: at most one reveal of the
// key, followed by at most one delegation of the key to itself, and nothing else. The error is a *PayloadError.
func DecodeRegistration(key *PublicKey, payload []byte) (Registration, error) {
	var reg Registration
	if !IsRegistration(payload) || len(payload) <= registrationStart {
		return reg, bad("length", "%d bytes are too few for an operation", len(payload))
	}
	rest := payload[registrationStart:]
	for len(rest) > 0 {
		tag := rest[0]
		after, err := managerPrefix(key, rest[1:])
		if err != nil {
			return Registration{}, err
		}
		switch {
		case tag == tagReveal && !reg.Reveal && !reg.Delegation:
			reg.Reveal = true
			rest, reg.Proof, err = revealed(key, after)
		case tag == tagDelegation && !reg.Delegation:
			reg.Delegation = true
			rest, err = delegated(key, after)
		default:
			err = bad("tag", "operation %d at its place is no reveal or delegation of a registration", tag)
		}
		if err != nil {
			return Registration{}, err
		}
	}
	return reg, nil
}

// managerPrefix checks that the source is the key, and bounds the fee. Counter, gas and storage are skipped.
func managerPrefix(key *PublicKey, b []byte) ([]byte, error) {
	source := key.Hash().Bytes()
	if !bytes.HasPrefix(b, source) {
		return nil, bad("source", "the operation is not of %s", key.Hash())
	}
	b = b[len(source):]
	fee, b, err := natural(b)
	if err != nil {
		return nil, err
	}
	if fee > MaxRegistrationFee {
		return nil, bad("fee", "a fee of %d mutez is above the cap of %d", fee, MaxRegistrationFee)
	}
	for range 3 { // counter, gas, storage: the fee covers their cost
		if _, b, err = natural(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// natural reads a number in groups of 7 bits, the lowest first; the top bit of each byte but the last is set.
func natural(b []byte) (n uint64, rest []byte, err error) {
	for i := 0; i < len(b) && i < maxNatural; i++ {
		n |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return n, b[i+1:], nil
		}
	}
	return 0, nil, bad("number", "fee, counter, gas or storage has no end")
}

// revealed skips the key's own public key and the byte for a missing proof. Protocols before Seoul had no such byte;
// proof tells whether the byte is present.
func revealed(key *PublicKey, b []byte) (rest []byte, proof bool, err error) {
	want := append([]byte{byte(key.curve)}, key.raw...)
	if !bytes.HasPrefix(b, want) {
		return nil, false, bad("public key", "the reveal is not of this key")
	}
	b = b[len(want):]
	if len(b) > 0 && b[0] == 0x00 {
		return b[1:], true, nil
	}
	return b, false, nil
}

func delegated(key *PublicKey, b []byte) ([]byte, error) {
	want := append([]byte{0xff}, key.Hash().Bytes()...)
	if !bytes.HasPrefix(b, want) {
		return nil, bad("delegate", "the delegation is not to the key itself")
	}
	return b[len(want):], nil
}
