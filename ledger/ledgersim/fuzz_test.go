package ledgersim

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// FuzzApp sends a series of commands, each with a length byte before it, to an app whose user accepts everything. It
// answers each with a status word, and no mark goes down or is passed without SETUP or RESET.
func FuzzApp(f *testing.F) {
	b, err := os.ReadFile("../../testdata/ledger/apdu-2.5.0-curve0.txt")
	require.NoError(f, err)
	var series []byte
	for line := range strings.SplitSeq(string(b), "\n") {
		if c, ok := strings.CutPrefix(line, "=> "); ok && len(c) < 500 {
			raw := hexOf(c)
			series = append(append(series, byte(len(raw))), raw...)
			if len(series) > 2000 {
				f.Add(series)
				series = nil
			}
		}
	}
	f.Fuzz(func(t *testing.T, series []byte) {
		d, err := New(Options{Seed: "a seed", AllowMainnet: true, Decide: Always(Accept)})
		require.NoError(t, err)
		for count := 0; len(series) > 0 && count < 64; count++ {
			n := min(int(series[0]), len(series)-1)
			cmd := series[1 : 1+n]
			series = series[1+n:]
			before := d.app.ram[0]
			out := d.Exchange(cmd)
			require.GreaterOrEqual(t, len(out), swSize)
			after := d.app.ram[0]
			moved := len(cmd) > 1 && (cmd[1] == 0x06 || cmd[1] == 0x0a)
			if !moved {
				require.GreaterOrEqual(t, after.main.level, before.main.level)
				require.GreaterOrEqual(t, after.test.level, before.test.level)
				require.Equal(t, before.chain, after.chain)
			}
			require.Equal(t, d.app.ram, d.app.nv, "with the setting on NVRAM follows")
		}
	})
}

func hexOf(s string) []byte {
	out := make([]byte, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		out = append(out, unhexDigit(s[i])<<4|unhexDigit(s[i+1]))
	}
	return out
}

func unhexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

// TestMarkRules is the table of the app's rule at and around a mark of (10, 2).
func TestMarkRules(t *testing.T) {
	at := mark{level: 10, round: 2}
	pre, att := at, at
	pre.hadPre, att.hadAtt = true, true
	for _, c := range []struct {
		name         string
		m            mark
		kind         tezos.Kind
		level, round uint32
		want         bool
	}{
		{"block at the mark", at, tezos.Block, 10, 2, false},
		{"block above in round", at, tezos.Block, 10, 3, true},
		{"block above in level", at, tezos.Block, 11, 0, true},
		{"preattestation at the mark", at, tezos.Preattestation, 10, 2, true},
		{"preattestation twice", pre, tezos.Preattestation, 10, 2, false},
		{"preattestation after attestation", att, tezos.Preattestation, 10, 2, false},
		{"attestation at the mark", at, tezos.Attestation, 10, 2, true},
		{"attestation after preattestation", pre, tezos.Attestation, 10, 2, true},
		{"attestation twice", att, tezos.Attestation, 10, 2, false},
		{"lower round", at, tezos.Attestation, 10, 1, false},
		{"lower level, higher round", at, tezos.Attestation, 9, 9, false},
		{"level with a flag bit", at, tezos.Attestation, 0x40000000, 0, false},
	} {
		require.Equal(t, c.want, c.m.allows(c.kind, c.level, c.round), c.name)
	}
	m := pre
	m.reset(10)
	require.Equal(t, mark{level: 10, hadPre: true}, m, "RESET keeps the flag of the preattestation")
	m = att
	m.signed(0, 0, 0)
	require.Equal(t, mark{level: 10, hadAtt: true}, m, "an operation zeroes the round and keeps the flags")
}
