package baker_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

func newKey(t *testing.T, curve tezos.Curve) *softkey.Key {
	t.Helper()
	k, err := softkey.New(curve, []byte("a seed for tests only"))
	require.NoError(t, err)
	return k
}

// note signs a step and shows it to the judge.
func note(t *testing.T, j *baker.Judge, k *softkey.Key, s baker.Step) bool {
	t.Helper()
	payload := s.Payload(k.Curve())
	isNew, err := j.Note(k.PublicKey().Hash(), payload, k.Sign(payload))
	require.NoError(t, err)
	return isNew
}

func TestJudgeFindsTwoPayloadsForOnePlace(t *testing.T) {
	for _, kind := range tezos.Kinds {
		j, key := baker.NewJudge(), newKey(t, tezos.Ed25519)
		step := baker.Step{Chain: chain, Kind: kind, Level: 10, Round: 1}
		require.True(t, note(t, j, key, step))
		require.False(t, note(t, j, key, step), "the same bytes and the same signature are one signature")
		require.Empty(t, j.Doubles())
		step.Variant = 1
		require.False(t, note(t, j, key, step))
		require.Len(t, j.Doubles(), 1)
		require.Contains(t, j.Doubles()[0], "two payloads for "+kind.String()+" at level 10 round 1")
		require.Equal(t, 1, j.Signed())
	}
}

// An attestation with DAL and one without are one kind: both for one block are slashed.
func TestJudgeKnowsThatAttestationsWithDALAreAttestations(t *testing.T) {
	j, key := baker.NewJudge(), newKey(t, tezos.P256)
	note(t, j, key, baker.Step{Chain: chain, Kind: tezos.Attestation, Level: 10})
	note(t, j, key, baker.Step{Chain: chain, Kind: tezos.Attestation, Level: 10, DAL: 2})
	require.Len(t, j.Doubles(), 1)
}

// A second ECDSA signature of one block is a second block.
func TestJudgeFindsTwoSignaturesOfOnePayload(t *testing.T) {
	j, key, other := baker.NewJudge(), newKey(t, tezos.Secp256k1), newKey(t, tezos.P256)
	payload := baker.Step{Chain: chain, Kind: tezos.Block, Level: 10}.Payload(tezos.Secp256k1)
	for _, sig := range []tezos.Signature{key.Sign(payload), other.Sign(payload)} {
		_, err := j.Note(key.PublicKey().Hash(), payload, sig)
		require.NoError(t, err)
	}
	require.Len(t, j.Doubles(), 1)
	require.Contains(t, j.Doubles()[0], "two signatures of a single block")
}

func TestJudgeDoesNotAccuseOtherPlaces(t *testing.T) {
	j, ed, secp := baker.NewJudge(), newKey(t, tezos.Ed25519), newKey(t, tezos.Secp256k1)
	base := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: 10}
	steps := []baker.Step{base, base, base, base}
	steps[0].Level, steps[1].Round, steps[2].Kind, steps[3].Chain = 11, 1, tezos.Preattestation, tezos.ChainID{9}
	require.True(t, note(t, j, ed, base))
	require.True(t, note(t, j, secp, base))
	for i, s := range steps {
		s.Variant = byte(i + 1)
		require.True(t, note(t, j, ed, s))
	}
	require.Empty(t, j.Doubles())
	require.Equal(t, 6, j.Signed())
}

func TestJudgeRefusesWhatIsNoConsensusPayload(t *testing.T) {
	j, key := baker.NewJudge(), newKey(t, tezos.Ed25519)
	_, err := j.Note(key.PublicKey().Hash(), []byte{3, 0}, key.Sign([]byte{3, 0}))
	require.ErrorIs(t, err, tezos.ErrPayload)
	require.Zero(t, j.Signed())
}

func TestJudgeIsSafeForConcurrentUse(t *testing.T) {
	j, key := baker.NewJudge(), newKey(t, tezos.Ed25519)
	const askers = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for v := range askers {
		wg.Go(func() {
			payload := baker.Step{Chain: chain, Kind: tezos.Block, Level: 1, Variant: byte(v)}.Payload(tezos.Ed25519)
			isNew, err := j.Note(key.PublicKey().Hash(), payload, key.Sign(payload))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && isNew {
				first++
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, first)
	require.Len(t, j.Doubles(), askers-1)
}
