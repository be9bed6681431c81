// Package message is the binary messages of Octez's socket protocol: requests, answers and errors, both ways.
package message

import (
	"encoding/binary"
	"fmt"

	"highwater/internal/tezos"
)

// Kind is the kind of a request: the tag byte of Octez's union (src/lib_signer_services/signer_messages.ml).
type Kind uint8

// The eight requests.
const (
	Sign               Kind = 0
	PublicKey          Kind = 1
	AuthorizedKeys     Kind = 2
	DeterministicNonce Kind = 3
	NonceHash          Kind = 4
	SupportsNonces     Kind = 5
	KnownKeys          Kind = 6
	ProvePossession    Kind = 7
)

// kindNames is indexed by kind, with the names of Octez.
var kindNames = []string{
	"sign", "public_key", "authorized_keys", "deterministic_nonce", "deterministic_nonce_hash",
	"supports_deterministic_nonces", "known_keys", "bls_prove_possession",
}

// String is Octez's name for the request.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("request 0x%02x", uint8(k))
}

// Bounds in bytes. A first byte of 0x12 or more begins no message: so a client of another protocol is known at once.
const (
	// HeaderLen is the length of the length before each message.
	HeaderLen = 2
	// MaxData bounds the data of a request, the watermark byte included; the longest payload has some hundred bytes.
	MaxData = 4 << 10
	// MaxRequest bounds a request, without its length.
	MaxRequest = MaxData + 0x100
	// MaxAnswer is the longest message that a length of two bytes allows.
	MaxAnswer = 1<<16 - 1
)

// blsKeyLen is the length of a BLS public key.
const blsKeyLen = 48

// Request is one request. The fields beside Kind are those of its kind, else zero.
type Request struct {
	Kind           Kind
	PKH            tezos.PublicKeyHash
	Version        *uint8 // signature version: of a tz4 key in Sign, else nil
	Data           []byte // watermark byte first
	Authentication []byte // raw signature of a client: 64 or 96 bytes; empty: none
	OverKey        []byte // ProvePossession: 48 bytes of the BLS key to be proven; empty: the key's own
}

// Error says why bytes are no request.
type Error struct{ Text string }

func (e *Error) Error() string { return e.Text }

func wrong(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// ParseRequest reads one message, without its length. All bytes must belong to the request. The result holds parts of
// b.
func ParseRequest(b []byte) (Request, error) {
	if len(b) == 0 {
		return Request{}, wrong("the message is empty")
	}
	q := Request{Kind: Kind(b[0])}
	r := reader{rest: b[1:]}
	switch q.Kind {
	case Sign:
		r.signedKey(&q)
		r.data(&q)
		r.authentication(&q)
	case DeterministicNonce, NonceHash: // refused by a signer with devices: the rest does not matter
		return q, nil
	case PublicKey, SupportsNonces:
		q.PKH = r.pkh()
	case ProvePossession:
		q.PKH = r.pkh()
		r.overKey(&q)
		r.authentication(&q)
	case AuthorizedKeys, KnownKeys:
	default:
		return Request{}, wrong("the message asks for 0x%02x, which is no request", b[0])
	}
	if r.err == nil && len(r.rest) > 0 {
		r.err = wrong("%d bytes follow the request (%s)", len(r.rest), q.Kind)
	}
	return q, r.err
}

// reader takes the fields of a message in their order. After the first error it gives zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) take(n int, what string) []byte {
	if r.err == nil && len(r.rest) < n {
		r.err = wrong("the message ends within the %s", what)
	}
	if r.err != nil {
		return make([]byte, min(n, MaxRequest))
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) pkh() tezos.PublicKeyHash {
	h, err := tezos.PublicKeyHashFromBytes(r.take(tezos.PublicKeyHashLen, "public key hash"))
	if r.err == nil && err != nil {
		r.err = wrong("%v", err)
	}
	return h
}

// signedKey reads the key of a signature. For tz4, Octez writes the tag twice, and the signature version behind the
// hash.
func (r *reader) signedKey(q *Request) {
	if len(r.rest) == 0 || r.rest[0] != byte(tezos.BLS12381) {
		q.PKH = r.pkh()
		return
	}
	r.take(1, "public key hash")
	q.PKH = r.pkh()
	if r.err == nil && q.PKH.Curve != tezos.BLS12381 {
		r.err = wrong("a signature version stands beside a %s key; only tz4 keys have one", q.PKH.Curve.Prefix())
	}
	version := r.take(1, "signature version")[0]
	q.Version = &version
}

func (r *reader) data(q *Request) {
	n := binary.BigEndian.Uint32(r.take(4, "length of the data"))
	if r.err == nil && n > MaxData {
		r.err = wrong("the data has %d bytes, and may have %d", n, MaxData)
		return
	}
	q.Data = r.take(int(n), "data")
}

// overKey reads the optional key of a proof: an option of Octez has the byte 1 before its value, an optional field has
// 255.
func (r *reader) overKey(q *Request) {
	switch present := r.take(1, "public key")[0]; present {
	case 0:
	case 1, 0xff:
		q.OverKey = r.take(blsKeyLen, "public key")
	default:
		r.err = wrong("0x%02x stands before the public key, instead of 00 (none), 01 or ff", present)
	}
}

// authentication reads the signature of the client at the end of a message. Octez writes nothing for none, and the raw
// signature up to the end otherwise: its length depends on the curve. Versions of Octez with signatures of one length
// (before tz4) write the byte 00 for none, and ff before the signature.
func (r *reader) authentication(q *Request) {
	if r.err != nil {
		return
	}
	switch n := len(r.rest); {
	case n == 0:
		return
	case n == 1 && r.rest[0] == 0:
		r.rest = nil
		return
	case (n == 1+tezos.SignatureLen || n == 1+tezos.BLSSignatureLen) && r.rest[0] == 0xff:
		r.rest = r.rest[1:]
	case n != tezos.SignatureLen && n != tezos.BLSSignatureLen:
		r.err = wrong("%d bytes follow the data: a signature has %d or %d", n, tezos.SignatureLen, tezos.BLSSignatureLen)
		return
	}
	q.Authentication, r.rest = r.rest, nil
}

// Bytes is the message of a request, with its length before it.
func (q Request) Bytes() []byte {
	b := []byte{0, 0, byte(q.Kind)}
	switch q.Kind {
	case Sign, DeterministicNonce, NonceHash:
		if q.Version != nil {
			b = append(b, byte(tezos.BLS12381))
		}
		b = append(b, q.PKH.Bytes()...)
		if q.Version != nil {
			b = append(b, *q.Version)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(q.Data))) //nolint:gosec // the length is of two bytes, or framed fails
		b = append(b, q.Data...)
	case PublicKey, SupportsNonces:
		b = append(b, q.PKH.Bytes()...)
	case ProvePossession:
		b = append(b, q.PKH.Bytes()...)
		if len(q.OverKey) == 0 {
			b = append(b, 0)
		} else {
			b = append(append(b, 1), q.OverKey...)
		}
	case AuthorizedKeys, KnownKeys:
	}
	return framed(append(b, q.Authentication...))
}

// framed writes the length of a message into its first two bytes.
func framed(b []byte) []byte {
	binary.BigEndian.PutUint16(b, uint16(len(b)-HeaderLen)) //nolint:gosec // bounded by MaxRequest and MaxAnswer
	return b
}
