package operate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// TestMayIRestart: the answer for rights at some levels, six seconds apart; level 100 begins now.
func TestMayIRestart(t *testing.T) {
	now := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	at := func(level int32) time.Time { return now.Add(time.Duration(level-100) * 6 * time.Second) }
	key := tezos.PublicKeyHash{Curve: tezos.P256}
	attest := func(levels ...int32) (out []rights.Right) {
		for _, l := range levels {
			out = append(out, rights.Right{PKH: key, Kind: tezos.Attestation, Level: l, At: at(l)})
		}
		return out
	}
	for name, c := range map[string]struct {
		rights []rights.Right
		want   string
		moment time.Time
	}{
		"far away": {attest(120), "A restart now costs no right. Next right", at(120)},
		"soon, and a pause after": {
			attest(102, 103, 140), "Do not restart now. A pause of 3 min 32 s begins",
			at(103).Add(settling),
		},
		"each level": {
			attest(101, 110, 120, 130, 140, 150, 160, 170, 180, 190, 196),
			"No pause of a minute up to level 196: a restart may cost a right. Next right", at(101),
		},
		"a pause at the end": {attest(101, 110), "Do not restart now. A pause of 8 min 26 s begins", at(110).Add(settling)},
		"none":               {nil, "No right up to level 196: a restart before that level costs none.", time.Time{}},
		"a block of a later round": {
			[]rights.Right{{PKH: key, Kind: tezos.Block, Level: 102, Round: 1, At: at(102)}},
			"No right up to level 196: a restart before that level costs none.",
			time.Time{},
		},
		"a block beyond": {
			[]rights.Right{{PKH: key, Kind: tezos.Block, Level: 300, At: at(300)}},
			"No right up to level 196: a restart before that level costs none.",
			time.Time{},
		},
		"no times": {
			[]rights.Right{{PKH: key, Kind: tezos.Block, Level: 110}},
			"The times of the coming rights are not known yet: two heads of the node tell.",
			time.Time{},
		},
	} {
		v := Rights{Known: 196, Until: known(at(196))}
		if name == "no times" {
			v.Until = nil
		}
		v.fill(planOf(eachOf(c.rights)), nil, now)
		text, moment := Status{Signing: true, Rights: &v}.Restart(now)
		require.Equal(t, c.want, text, name)
		require.Equal(t, c.moment, moment, name)
	}
	for want, st := range map[string]Status{
		"This machine does not sign now: a restart here costs no signature.": {},
		"The coming rights are not known: set `node` in the configuration.":  {Signing: true},
		"The coming rights are not known yet.":                               {Signing: true, Rights: &Rights{}},
		"The coming rights are not known: the node does not tell: no answer": {Signing: true, Rights: &Rights{Problem: "no answer"}},
	} {
		text, moment := st.Restart(now)
		require.Equal(t, want, text)
		require.Zero(t, moment)
	}
	require.Equal(t, "in 1 min 40 s", In(100*time.Second))
	require.Equal(t, "in 3 h 0 min", In(3*time.Hour))
	require.Equal(t, "now", In(-time.Second))
}
