package main

import (
	"bytes"
	"testing"
	"time"

	"highwater/test/failover/judge"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	_ "highwater/cmd" // what make test-failover runs: Go's cache of results must know of it
	"highwater/internal/baker"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAReportFails: with one scenario that failed, and with none at all.
func TestAReportFails(t *testing.T) {
	good, bad := result{Name: "good", Passed: true}, result{Name: "bad", Error: "both sign", Doubles: 3}
	require.True(t, newReport(1, []result{good}, 0).Passed)
	require.False(t, newReport(1, nil, 0).Passed)
	r := newReport(7, []result{good, bad}, 0)
	require.False(t, r.Passed)
	require.Contains(t, r.table(), "FAILED bad (-run '^bad$' -seed 7): both sign")
}

// TestVerdict: a double signature is a failure, but where somebody lied; and so is a scenario in which nothing was
// signed.
func TestVerdict(t *testing.T) {
	w := &world{tally: judge.New()}
	require.ErrorContains(t, w.verdict(), "nothing was signed")
	key, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{5}, softkey.MinSeed))
	require.NoError(t, err)
	sign := func(side int) {
		step := baker.Step{Chain: harness.Chain, Kind: tezos.Block, Level: 5, Variant: byte(side + 1)}
		payload := step.Payload(key.Curve())
		require.NoError(t, w.tally.Note(side, key.PublicKey().Hash(), step, payload, key.Sign(payload), time.Now()))
	}
	sign(0)
	require.ErrorContains(t, w.verdict(), "the bakers of a were never refused")
	w.tally.Answered("a", "409 Conflict")
	w.tally.Answered("b", "200 OK")
	require.ErrorContains(t, w.verdict(), "the bakers of b were never refused")
	w.tally.Answered("b", "403 Forbidden")
	require.NoError(t, w.verdict())
	sign(1)
	require.ErrorContains(t, w.verdict(), "1 double signatures")
	w.doubles = true
	require.NoError(t, w.verdict())
}

// TestScenariosAreNamedOnce: a name chooses one, and each is told in a line.
func TestScenariosAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios() {
		require.False(t, seen[s.name], s.name)
		require.NotEmpty(t, s.what)
		require.Positive(t, s.interval)
		require.NotNil(t, s.run)
		seen[s.name] = true
	}
	require.True(t, seen["control"], "a lab that cannot fail proves nothing")
}
