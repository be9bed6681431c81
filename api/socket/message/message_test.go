package message_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api/socket/message"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// unhex reads hex with spaces.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	require.NoError(t, err)
	return b
}

func pkh(t testing.TB, text string) tezos.PublicKeyHash {
	t.Helper()
	h, err := tezos.ParsePublicKeyHash(text)
	require.NoError(t, err)
	return h
}

func version(v uint8) *uint8 { return &v }

const (
	tz1 = "tz1Ke2h7sDdakHJQh8WX4Z372du1KChsksyU" // the hash of zeros
	tz4 = "tz4R6oqYMfRxvjD7AkQiRKuttsBiMiDJ3vRP"

	zeros20 = "0000000000000000000000000000000000000000"
	hash4   = "b08f040024ca098aaa8e2453e5f59c6ac657a0f7"
)

// requests are hand-written messages beside their meaning. From where each byte is:
//   - the two bytes of length: src/lib_base/unix/socket.ml, size_of_length_of_message_payload;
//   - the tags 0 to 5: Request.encoding of src/lib_signer_services/signer_messages.ml; 6 and 7 are used as Known_keys and
//     Bls_prove_possession by src/lib_signer_backends/unix/socket.ml, and as 06 and 07 by tezt/tests/signer_test.ml;
//   - the hash of tz4 in a signature request, its tag twice and the version behind: the same file's case Bls, and the
//     test test_versioned_case_rejects_non_bls beside it; the bytes of tz4 here are those of an exchange with octez-baker
//     in the documents of another signer (russignol, PROTOCOL_SPECIFICATION.md, example 2);
//   - data: Data_encoding.bytes is dynamic_size, a length of four bytes;
//   - the authentication: opt of an encoding of variable size (Signature_v3.raw_encoding is Variable.bytes) writes
//     nothing for None, and no tag for Some (data-encoding, src/binary_writer.ml, Opt {kind = `Variable}). Signature_v0
//     has a fixed size: opt then writes a bool, 00 or ff.
var requests = map[string]struct {
	hex  string
	want func(t *testing.T) message.Request
	old  bool // written by old versions of Octez only
}{
	"authorized keys": {
		hex:  "0001 02",
		want: func(*testing.T) message.Request { return message.Request{Kind: message.AuthorizedKeys} },
	},
	"known keys": {
		hex:  "0001 06",
		want: func(*testing.T) message.Request { return message.Request{Kind: message.KnownKeys} },
	},
	"public key, tz1": {hex: "0016 01 00" + zeros20, want: func(t *testing.T) message.Request {
		return message.Request{Kind: message.PublicKey, PKH: pkh(t, tz1)}
	}},
	"public key, tz4": {hex: "0016 01 03" + hash4, want: func(t *testing.T) message.Request {
		return message.Request{Kind: message.PublicKey, PKH: pkh(t, tz4)}
	}},
	"supports nonces": {hex: "0016 05 00" + zeros20, want: func(t *testing.T) message.Request {
		return message.Request{Kind: message.SupportsNonces, PKH: pkh(t, tz1)}
	}},
	"sign, tz1": {hex: "001d 00 00" + zeros20 + "00000003 13abcd", want: func(t *testing.T) message.Request {
		return message.Request{Kind: message.Sign, PKH: pkh(t, tz1), Data: []byte{0x13, 0xab, 0xcd}}
	}},
	"sign, tz4": {
		hex: "006a 00 03 03" + hash4 + "02 0000004e 125c3b" + strings.Repeat("77", 75),
		want: func(t *testing.T) message.Request {
			return message.Request{
				Kind: message.Sign, PKH: pkh(t, tz4), Version: version(2),
				Data: append([]byte{0x12, 0x5c, 0x3b}, bytes.Repeat([]byte{0x77}, 75)...),
			}
		},
	},
	"sign, authenticated by tz1 to tz3": {
		hex: "005e 00 00" + zeros20 + "00000004 13000000" + strings.Repeat("5a", 64),
		want: func(t *testing.T) message.Request {
			return message.Request{
				Kind: message.Sign, PKH: pkh(t, tz1), Data: []byte{0x13, 0, 0, 0},
				Authentication: bytes.Repeat([]byte{0x5a}, 64),
			}
		},
	},
	"sign, authenticated by tz4": {
		hex: "007e 00 00" + zeros20 + "00000004 13000000" + strings.Repeat("ff", 96),
		want: func(t *testing.T) message.Request {
			return message.Request{
				Kind: message.Sign, PKH: pkh(t, tz1), Data: []byte{0x13, 0, 0, 0},
				Authentication: bytes.Repeat([]byte{0xff}, 96),
			}
		},
	},
	"sign, not authenticated, before tz4": {
		old: true, hex: "001e 00 00" + zeros20 + "00000003 13abcd 00", want: func(t *testing.T) message.Request {
			return message.Request{Kind: message.Sign, PKH: pkh(t, tz1), Data: []byte{0x13, 0xab, 0xcd}}
		},
	},
	"sign, authenticated, before tz4": {
		old: true, hex: "005f 00 00" + zeros20 + "00000004 13000000 ff" + strings.Repeat("5a", 64),
		want: func(t *testing.T) message.Request {
			return message.Request{
				Kind: message.Sign, PKH: pkh(t, tz1), Data: []byte{0x13, 0, 0, 0},
				Authentication: bytes.Repeat([]byte{0x5a}, 64),
			}
		},
	},
	"proof": {hex: "0017 07 03" + hash4 + "00", want: func(t *testing.T) message.Request {
		return message.Request{Kind: message.ProvePossession, PKH: pkh(t, tz4)}
	}},
	"proof of a key": {
		hex: "0047 07 03" + hash4 + "01" + strings.Repeat("a1", 48),
		want: func(t *testing.T) message.Request {
			return message.Request{Kind: message.ProvePossession, PKH: pkh(t, tz4), OverKey: bytes.Repeat([]byte{0xa1}, 48)}
		},
	},
	// tezt/tests/signer_test.ml, prove_possession_frame: the byte before the key is 01, and the authentication ends it.
	"proof of a key, authenticated": {
		hex: "0087 07 03" + hash4 + "01" + strings.Repeat("a1", 48) + strings.Repeat("5a", 64),
		want: func(t *testing.T) message.Request {
			return message.Request{
				Kind: message.ProvePossession, PKH: pkh(t, tz4), OverKey: bytes.Repeat([]byte{0xa1}, 48),
				Authentication: bytes.Repeat([]byte{0x5a}, 64),
			}
		},
	},
	"proof of a key, of an optional field": {
		old: true, hex: "0047 07 03" + hash4 + "ff" + strings.Repeat("a1", 48),
		want: func(t *testing.T) message.Request {
			return message.Request{Kind: message.ProvePossession, PKH: pkh(t, tz4), OverKey: bytes.Repeat([]byte{0xa1}, 48)}
		},
	},
}

func TestRequests(t *testing.T) {
	for name, c := range requests {
		t.Run(name, func(t *testing.T) {
			b, want := unhex(t, c.hex), c.want(t)
			require.Equal(t, len(b)-2, int(b[0])<<8|int(b[1]), "the vector's own length")
			got, err := message.ParseRequest(b[2:])
			require.NoError(t, err)
			require.Equal(t, want, got)
			if !c.old {
				require.Equal(t, b, got.Bytes())
			}
		})
	}
}

// TestNoncesAreKnown: requests that are refused are named, whatever follows their tag.
func TestNoncesAreKnown(t *testing.T) {
	for _, kind := range []message.Kind{message.DeterministicNonce, message.NonceHash} {
		got, err := message.ParseRequest(unhex(t, "0"+string('0'+byte(kind))+"00"+zeros20))
		require.NoError(t, err)
		require.Equal(t, message.Request{Kind: kind}, got)
	}
}

// TestNoRequests: bytes that are not exactly one request.
func TestNoRequests(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                         "",
		"an unknown tag":                  "08",
		"a tag of another union":          "ff",
		"a byte behind authorized keys":   "0200",
		"a byte behind a public key":      "0100" + zeros20 + "00",
		"a short hash":                    "0100" + zeros20[2:],
		"a hash of an unknown curve":      "0105" + zeros20,
		"a tz4 key without a version":     "0003" + hash4 + "00000001 13",
		"a version beside a tz1 key":      "000300" + zeros20 + "03 00000001 13",
		"a version beside a tz5 key":      "000304" + zeros20 + "03 00000001 13",
		"data that is cut":                "0000" + zeros20 + "00000002 13",
		"data that is too long":           "0000" + zeros20 + "00001001" + strings.Repeat("13", 4097),
		"data of four gigabytes":          "0000" + zeros20 + "ffffffff 13",
		"a byte behind the data":          "0000" + zeros20 + "00000001 13 01",
		"the byte of an absent signature": "0000" + zeros20 + "00000001 13 ff",
		"a signature of 63 bytes":         "0000" + zeros20 + "00000001 13" + strings.Repeat("5a", 63),
		"a signature of 65 bytes":         "0000" + zeros20 + "00000001 13" + strings.Repeat("5a", 65),
		"a signature of 98 bytes":         "0000" + zeros20 + "00000001 13" + strings.Repeat("ff", 98),
		"a proof without its option":      "0703" + hash4,
		"a proof of half a key":           "0703" + hash4 + "01" + strings.Repeat("a1", 47),
		"a proof with another option":     "0703" + hash4 + "02" + strings.Repeat("a1", 48),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := message.ParseRequest(unhex(t, text))
			var own *message.Error
			require.ErrorAs(t, err, &own)
			require.NotEmpty(t, own.Text)
		})
	}
}

// TestAnswers: the tag 00 of Ok (result_encoding), then the body: a list has its length in bytes before its elements
// (Data_encoding.list is dynamic_size); a public key is a union of one tag byte; a signature is raw; a bool is one
// byte.
func TestAnswers(t *testing.T) {
	key, err := softkey.New(tezos.P256, bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	raw := hex.EncodeToString(key.PublicKey().Bytes())
	sig := key.Sign([]byte{3})
	two := []tezos.PublicKeyHash{pkh(t, tz1), pkh(t, tz4)}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"no authentication": {message.AuthorizedKeysAnswer(nil), "0002 00 00"},
		"authorized keys":   {message.AuthorizedKeysAnswer(two), "0030 00 01 0000002a 00" + zeros20 + "03" + hash4},
		"known keys":        {message.KnownKeysAnswer(two), "002f 00 0000002a 00" + zeros20 + "03" + hash4},
		"no known key":      {message.KnownKeysAnswer(nil), "0005 00 00000000"},
		"no nonces":         {message.NoNoncesAnswer(), "0002 00 00"},
		"public key":        {message.PublicKeyAnswer(key.PublicKey()), "0023 00 02" + raw},
		"signature":         {message.SignatureAnswer(sig), "0041 00" + hex.EncodeToString(sig.Bytes())},
		// An error is a list of errors (TzTrace.encoding is list), and an error is its JSON in binary (error_encoding of
		// src/lib_error_monad/core_maker.ml: splitted, without a dynamic_size of its own since 2021). JSON in binary is
		// Encoding.string of a BSON document (data-encoding, src/json.ml, encoding; json-data-encoding,
		// src/json_repr_bson.ml): integers within the document are little endian, the length before it is big endian. The
		// fields are those of the error "failure" (src/lib_error_monad/error_monad.ml, failwith).
		"error": {message.ErrorAnswer("no"), `003e 01 00000039 00000035
			35000000  02 6b696e6400 0a000000 74656d706f7261727900  02 696400 08000000 6661696c75726500
			02 6d736700 03000000 6e6f00  00`},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, unhex(t, c.want), c.got) })
	}
}

// TestErrorsAreReadAgain: of any text, as UTF-8, and of a length that a message has.
func TestErrorsAreReadAgain(t *testing.T) {
	for _, text := range []string{"", "no", "a zero \x00 within", "“typed” text", strings.Repeat("é", 3000)} {
		b := message.ErrorAnswer(text)
		_, err := message.ParseAnswer(b[2:])
		var refused *message.RefusedError
		require.ErrorAs(t, err, &refused)
		if len(text) < 4096 {
			require.Equal(t, text, refused.Text)
			continue
		}
		require.Equal(t, strings.Repeat("é", 2048)+"…", refused.Text)
	}
	_, err := message.ParseAnswer(message.ErrorAnswer("\xff")[2:])
	require.EqualError(t, err, "?")
}

func TestMostKnownKeys(t *testing.T) {
	keys := make([]tezos.PublicKeyHash, 4000)
	b := message.KnownKeysAnswer(keys)
	require.Less(t, len(b), 1<<16)
	require.Equal(t, len(b)-2, int(b[0])<<8|int(b[1]))
}

// FuzzRequest: whatever is read is written again as it was read, but for the forms of old versions.
func FuzzRequest(f *testing.F) {
	for _, c := range requests {
		b, err := hex.DecodeString(strings.Join(strings.Fields(c.hex), ""))
		require.NoError(f, err)
		f.Add(b[2:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := message.ParseRequest(b)
		if err != nil {
			var own *message.Error
			require.ErrorAs(t, err, &own)
			return
		}
		if q.Kind == message.DeterministicNonce || q.Kind == message.NonceHash {
			return
		}
		again, err := message.ParseRequest(q.Bytes()[2:])
		require.NoError(t, err)
		require.Equal(t, q, again)
		require.LessOrEqual(t, len(q.Data), message.MaxData)
	})
}

// FuzzAnswer: a client takes any bytes for an answer.
func FuzzAnswer(f *testing.F) {
	f.Add(message.ErrorAnswer("no")[2:])
	f.Add([]byte{0, 1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := message.ParseAnswer(b)
		if err == nil {
			require.Equal(t, b[1:], body)
		}
	})
}
