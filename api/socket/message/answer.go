package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"highwater/internal/tezos"
)

// Tags of an answer (result_encoding in src/lib_error_monad/monad_extension_maker.ml).
const (
	tagOK    = 0
	tagError = 1
)

// maxText bounds the text of an error, in bytes.
const maxText = 4 << 10

// SignatureAnswer is the answer to Sign and to ProvePossession: the raw signature, up to the end of the message.
func SignatureAnswer(sig tezos.Signature) []byte { return ok(sig.Bytes()...) }

// PublicKeyAnswer is the answer to PublicKey: a tag and the raw key.
func PublicKeyAnswer(key *tezos.PublicKey) []byte {
	return ok(append([]byte{byte(key.Curve())}, key.Bytes()...)...)
}

// AuthorizedKeysAnswer is the answer to AuthorizedKeys. Without keys no authentication is wanted.
func AuthorizedKeysAnswer(keys []tezos.PublicKeyHash) []byte {
	if len(keys) == 0 {
		return ok(0)
	}
	return ok(append([]byte{1}, list(keys)...)...)
}

// KnownKeysAnswer is the answer to KnownKeys. As many keys as a message holds are told.
func KnownKeysAnswer(keys []tezos.PublicKeyHash) []byte { return ok(list(keys)...) }

// NoNoncesAnswer is the answer to SupportsNonces: no.
func NoNoncesAnswer() []byte { return ok(0) }

// ErrorAnswer is a refusal or a failure, as Octez's own errors of failwith: octez-client prints the text.
func ErrorAnswer(text string) []byte {
	doc := bson([][2]string{{"kind", "temporary"}, {"id", "failure"}, {"msg", fit(text)}})
	b := []byte{0, 0, tagError}
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(doc))) //nolint:gosec // bounded by maxText
	b = binary.BigEndian.AppendUint32(b, uint32(len(doc)))   //nolint:gosec // bounded by maxText
	return framed(append(b, doc...))
}

func ok(body ...byte) []byte { return framed(append([]byte{0, 0, tagOK}, body...)) }

// list is Octez's list of public key hashes: the length in bytes, and the hashes.
func list(keys []tezos.PublicKeyHash) []byte {
	const most = (MaxAnswer - 16) / tezos.PublicKeyHashLen
	keys = keys[:min(len(keys), most)]
	b := binary.BigEndian.AppendUint32(nil, uint32(len(keys)*tezos.PublicKeyHashLen)) //nolint:gosec // bounded by most
	for _, k := range keys {
		b = append(b, k.Bytes()...)
	}
	return b
}

// fit gives text that is UTF-8 and not too long for a message.
func fit(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= maxText {
		return text
	}
	n := maxText
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// bson is a JSON object of strings in data-encoding's binary form of JSON: a BSON document. Its integers are little
// endian (json-data-encoding, src/json_repr_bson.ml).
func bson(fields [][2]string) []byte {
	const stringField = 2
	b := make([]byte, 4)
	for _, f := range fields {
		name, value := f[0], f[1]
		b = append(append(append(b, stringField), name...), 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(value)+1)) //nolint:gosec // bounded by maxText
		b = append(append(b, value...), 0)
	}
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b, uint32(len(b))) //nolint:gosec // bounded by maxText
	return b
}

// ErrBadAnswer is returned when bytes are not an answer.
var ErrBadAnswer = errors.New("not an answer of a signer")

// RefusedError is an error in an answer.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// ParseAnswer gives the body of an answer, without its length. An error of the signer is a *RefusedError with the texts
// of all errors in the answer.
func ParseAnswer(b []byte) ([]byte, error) {
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrBadAnswer)
	case b[0] == tagOK:
		return b[1:], nil
	case b[0] != tagError:
		return nil, fmt.Errorf("%w: tag 0x%02x", ErrBadAnswer, b[0])
	}
	trace, rest, err := counted(b[1:])
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes of errors", ErrBadAnswer, len(b)-1)
	}
	var texts []string
	for len(trace) > 0 {
		var doc []byte
		if doc, trace, err = counted(trace); err != nil {
			return nil, err
		}
		fields, err := parseBSON(doc)
		if err != nil {
			return nil, err
		}
		texts = append(texts, fields["msg"])
	}
	return nil, &RefusedError{strings.Join(texts, "; ")}
}

// counted takes bytes behind their length in four bytes.
func counted(b []byte) (body, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, fmt.Errorf("%w: a length is missing", ErrBadAnswer)
	}
	n := binary.BigEndian.Uint32(b)
	if int64(len(b)-4) < int64(n) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", ErrBadAnswer, len(b)-4, n)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// parseBSON reads a document of strings.
func parseBSON(doc []byte) (map[string]string, error) {
	bad := fmt.Errorf("%w: the error is not a BSON document of strings", ErrBadAnswer)
	if len(doc) < 5 || int64(binary.LittleEndian.Uint32(doc)) != int64(len(doc)) || doc[len(doc)-1] != 0 {
		return nil, bad
	}
	out := map[string]string{}
	for b := doc[4 : len(doc)-1]; len(b) > 0; {
		name, rest, found := strings.Cut(string(b[1:]), "\x00")
		if b[0] != 2 || !found || len(rest) < 5 {
			return nil, bad
		}
		n := int64(binary.LittleEndian.Uint32([]byte(rest)))
		if n == 0 || int64(len(rest)-4) < n || rest[4+n-1] != 0 {
			return nil, bad
		}
		out[name] = rest[4 : 4+n-1]
		b = []byte(rest[4+n:])
	}
	return out, nil
}
