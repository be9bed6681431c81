package judge

import (
	"bytes"
	"testing"
	"time"

	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/test/harness"

	"github.com/stretchr/testify/require"
)

func newTestKey(t *testing.T) *softkey.Key {
	k, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{5}, softkey.MinSeed))
	require.NoError(t, err)
	return k
}

// sign has a side sign at a place.
func sign(t *testing.T, tally *Tally, key *softkey.Key, side int, kind tezos.Kind, level, round int32) {
	step := baker.Step{Chain: harness.Chain, Kind: kind, Level: level, Round: round, Variant: byte(side + 1)}
	payload := step.Payload(key.Curve())
	require.NoError(t, tally.Note(side, key.PublicKey().Hash(), step, payload, key.Sign(payload), time.Now()))
}

// TestTheTallyCounts: doubles, levels that both signed, levels that nobody did, who signed since when.
func TestTheTallyCounts(t *testing.T) {
	tally, key := New(), newTestKey(t)
	both := []tezos.Kind{tezos.Preattestation, tezos.Attestation}
	for level := int32(1); level <= 4; level++ {
		for _, kind := range both {
			if level != 3 || kind != tezos.Preattestation {
				sign(t, tally, key, 0, kind, level, 0)
			}
		}
	}
	keys := []*tezos.PublicKey{key.PublicKey()}
	require.Equal(t, []int32{3, 5}, tally.Missed(keys, 1, 5))
	require.Empty(t, tally.Doubles())
	require.Empty(t, tally.Overlap())
	moment := time.Now()
	require.Empty(t, tally.By(0, moment))
	sign(t, tally, key, 1, tezos.Attestation, 4, 0) // the other side, other bytes, the same place
	sign(t, tally, key, 1, tezos.Attestation, 2, 1) // another round: no double signature, and yet both signed the level
	require.Len(t, tally.Doubles(), 1)
	require.Equal(t, []int32{4, 2}, tally.Overlap())
	require.Len(t, tally.By(1, moment), 2)
	require.Empty(t, tally.By(0, moment))
}

// TestGapsAreBetweenTheSides: a pause of one side is none of the handover.
func TestGapsAreBetweenTheSides(t *testing.T) {
	tally, key := New(), newTestKey(t).PublicKey().Hash()
	at := time.Now()
	for _, s := range []struct {
		side  int
		after time.Duration
	}{{0, 1}, {0, 500}, {1, 30}, {1, 100}, {0, 7}} {
		at = at.Add(s.after * time.Millisecond)
		tally.signed = append(tally.signed, Signature{Side: s.side, key: key, At: at})
	}
	between, within := tally.Gaps(key, time.Time{})
	require.Equal(t, 30*time.Millisecond, between)
	require.Equal(t, 500*time.Millisecond, within)
}
