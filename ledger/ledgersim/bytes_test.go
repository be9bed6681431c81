package ledgersim_test

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// Pieces of the commands below, for the key ed25519 44'/1729'/0'/0' of the recordings' mnemonic.
const (
	selectKey   = "8004000011048000002c800006c18000000080000000"
	branch      = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
	source      = "00c921d4487c90b4472da6cc566a58d79f0d991dbf"
	stranger    = "000000000000000000000000000000000000000000"
	fields      = "a00a05904e00"
	key         = "00747884d9abdf16b3ab745158925f567e222f71225501826fa83347f6cbe9c393"
	reveal      = "6b" + source + fields + key
	delegate    = "6e" + source + fields + "ff" + source
	ten         = "ffffffffffffffffff01" // a natural of ten bytes, 2^64-1
	tooLong     = "ffffffffffffffffff02"
	attestation = "137a06a770" + branch +
		"1500070000006500000000404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
)

// apduOf is an APDU of a header of four bytes and its data, both in hex.
func apduOf(header, data string) string {
	return header + hex.EncodeToString([]byte{byte(len(data) / 2)}) + data
}

// message is SIGN with a whole message, first with P1=01 and further packets to follow.
func message(data string) string { return apduOf("80048100", data) }
func packet(data string) string  { return apduOf("80040100", data) }
func operation(contents ...string) string {
	return message("03" + branch + strings.Join(contents, ""))
}

const shown = "prompt" // in place of a status word: the user is asked, and rejects

// exchange sends one command and gives its status word, or that the user was asked.
func exchange(t *testing.T, d *ledgersim.Device, conn *ledgersim.Conn, command string) string {
	t.Helper()
	raw, err := hex.DecodeString(command)
	require.NoError(t, err)
	require.NoError(t, conn.Send(raw))
	if _, asked := d.Prompt(); asked {
		require.True(t, d.Answer(ledgersim.Reject))
		_, err = conn.Receive(t.Context())
		require.NoError(t, err)
		return shown
	}
	out, err := conn.Receive(t.Context())
	require.NoError(t, err)
	return hex.EncodeToString(out[len(out)-2:])
}

// TestWhatTheAppAnswers holds answers that no recording has: each was seen on the app itself, by random commands, and
// is read in its sources.
func TestWhatTheAppAnswers(t *testing.T) {
	for name, row := range map[string]struct{ commands, want []string }{
		"a select with count 0 leaves no key": {
			[]string{selectKey, "800400000100", message(attestation)}, []string{"9000", "6a80", "917e"},
		},
		"a select without data leaves no key": {
			[]string{selectKey, "8004000000", message(attestation)}, []string{"9000", "6a80", "917e"},
		},
		"a select with a count above 10 leaves a key of nobody": {
			[]string{selectKey, "80040000010b", message(attestation)}, []string{"9000", "6a80", "6982"},
		},
		"a select that is cut short leaves the key that was selected": {
			[]string{selectKey, "800400000504" + "8000002c", message(attestation)}, []string{"9000", "6a80", "9000"},
		},
		"a select that is cut short, with another count, selects nobody's key": {
			[]string{selectKey, "800400000505" + "8000002c", message(attestation)}, []string{"9000", "6a80", "6982"},
		},
		"a select on an unknown curve leaves the key that was selected": {
			[]string{selectKey, "8004000911048000002c800006c18000000080000000", message(attestation)}, []string{
				"9000",
				"6b00", "9000",
			},
		},
		"AUTHORIZE without a path looks at P2":       {[]string{"8001000900"}, []string{"6b00"}},
		"AUTHORIZE without a path and a P2 it knows": {[]string{"8001000100"}, []string{shown}},
		"a reveal":                   {[]string{selectKey, operation(reveal)}, []string{"9000", "9000"}},
		"a reveal of today's layout": {[]string{selectKey, operation(reveal + "00")}, []string{"9000", "9405"}},
		"a reveal and a delegation":  {[]string{selectKey, operation(reveal, delegate)}, []string{"9000", shown}},
		"a delegation and a reveal":  {[]string{selectKey, operation(delegate, reveal)}, []string{"9000", shown}},
		"two delegations":            {[]string{selectKey, operation(delegate, delegate)}, []string{"9000", "9405"}},
		"a source that is not the key": {
			[]string{selectKey, operation("6e" + stranger + fields + "ff" + source)},
			[]string{"9000", "9405"},
		},
		"a key that is not authorised, and not the source": {
			[]string{"8004000011048000002c800006c18000000180000000", operation(delegate)}, []string{"9000", "9405"},
		},
		"a revealed key that is not the key": {
			[]string{selectKey, operation("6b" + source + fields + "00" + strings.Repeat("11", 32))}, []string{"9000", "9405"},
		},
		"any flag but 0 means a delegate": {
			[]string{selectKey, operation("6e" + source + fields + "01" + source)},
			[]string{"9000", shown},
		},
		"the flag 0 is a withdrawal": {
			[]string{selectKey, operation("6e" + source + fields + "00")},
			[]string{"9000", "6982"},
		},
		"another delegate": {
			[]string{selectKey, operation("6e" + source + fields + "ff" + stranger)},
			[]string{"9000", "6982"},
		},
		"a delegate of a curve that 2.5.0 does not know": {
			[]string{selectKey, operation("6e" + source + fields + "ff03" + stranger[2:])}, []string{"9000", "9405"},
		},
		"a key that cannot be derived": {
			[]string{"8004000009028000000080000000", operation(reveal)}, []string{"9000", "9001"},
		},
		"a key of too many components cannot be derived": {
			[]string{selectKey, "80040000010b", operation(reveal)}, []string{"9000", "6a80", "9001"},
		},
		"a packet without content, and more follow": {
			[]string{selectKey, packet("03" + branch)},
			[]string{"9000", "9000"},
		},
		"the beginning of a branch, and more follow": {
			[]string{selectKey, packet("03" + branch[:20])},
			[]string{"9000", "9000"},
		},
		"a content that is cut, and more follow": {
			[]string{selectKey, packet("03" + branch + delegate[:40])},
			[]string{"9000", "9000"},
		},
		"a wrong content, and more follow": {
			[]string{selectKey, packet("03" + branch + "6c" + source)},
			[]string{"9000", "9405"},
		},
		"a tag alone is not looked at": {
			[]string{selectKey, packet("03" + branch + "6c")},
			[]string{"9000", "9000"},
		},
		"an operation without content": {[]string{selectKey, operation("")}, []string{"9000", "9405"}},
		"an operation that is cut": {
			[]string{selectKey, operation(delegate[:40])},
			[]string{"9000", "9405"},
		},
		"a packet after the first, even the same": {
			[]string{selectKey, packet("03" + branch), operation(reveal)},
			[]string{"9000", "9000", "9405"},
		},
		"an empty packet": {[]string{selectKey, packet("")}, []string{"9000", "9405"}},
		"a counter of ten bytes": {[]string{
			selectKey,
			operation("6e" + source + "a00a" + ten + "904e00ff" + source),
		}, []string{"9000", shown}},
		"a counter that does not fit 64 bits": {[]string{
			selectKey,
			operation("6e" + source + "a00a" + tooLong + "904e00ff" + source),
		}, []string{"9000", "9405"}},
		"a counter of eleven bytes": {[]string{
			selectKey,
			operation("6e" + source + "a00a" + "ff" + ten + "904e00ff" + source),
		}, []string{"9000", "9405"}},
		"a transaction": {[]string{
			selectKey,
			operation("6c" + source + fields + "00" + "00" + source + "00"),
		}, []string{"9000", "9405"}},
		"an attestation that is cut, and more follow": {
			[]string{selectKey, packet(attestation[:40])},
			[]string{"9000", "9405"},
		},
		"a block's first 230 bytes, and more follow": {
			[]string{selectKey, packet("117a06a770" + strings.Repeat("00", 225))},
			[]string{"9000", "9405"},
		},
		"an attestation that is whole, and more follow": {[]string{selectKey, packet(attestation)}, []string{"9000", "9000"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := ledgersim.New(ledgersim.Options{
				Seed: zebra, AllowMainnet: true, Setup: []ledgersim.Setup{{Curve: ledger.Ed25519, Chain: tezos.Mainnet, Main: 100}},
			})
			require.NoError(t, err)
			conn := d.Connect()
			var got []string
			for _, c := range row.commands {
				got = append(got, exchange(t, d, conn, c))
			}
			require.Equal(t, row.want, got)
		})
	}
}

// TestLevelsThatTheAppTakes holds the bound of the app's own mark, from bytes.
func TestLevelsThatTheAppTakes(t *testing.T) {
	for level, want := range map[uint32]string{
		101: "9000", 0x3fffffff: "9000", 0x40000000: "6a80", 0x7fffffff: "6a80",
		0x80000065: "6a80",
	} {
		d, err := ledgersim.New(ledgersim.Options{
			Seed: zebra, AllowMainnet: true, Setup: []ledgersim.Setup{{Curve: ledger.Ed25519, Chain: tezos.Mainnet, Main: 100}},
		})
		require.NoError(t, err)
		raw, err := hex.DecodeString(attestation)
		require.NoError(t, err)
		binary.BigEndian.PutUint32(raw[1+4+32+1+2:], level)
		conn := d.Connect()
		got := []string{exchange(t, d, conn, selectKey), exchange(t, d, conn, message(hex.EncodeToString(raw)))}
		require.True(t, slices.Equal([]string{"9000", want}, got), "level %d: %v", level, got)
	}
}
