package missed

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/audit"
	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ours = tezos.PublicKeyHash{Curve: tezos.P256, Hash: [20]byte{1}}
)

func attestation(level int32) rights.Past {
	return rights.Past{
		Right:   rights.Right{PKH: ours, Kind: tezos.Attestation, Level: level, At: noon},
		Outcome: rights.Missed,
	}
}

// logOf is a log of a run since an hour, with the requests for one level.
func logOf(kind tezos.Kind, all ...asked) *Log {
	l := &Log{asked: map[place][]asked{{ours.String(), kind, 7}: all}, first: noon.Add(-time.Hour)}
	l.event(audit.Event{At: noon.Add(-time.Hour), What: audit.Started})
	l.runs[0].to = noon.Add(time.Hour)
	return l
}

func TestCausesOfAnAttestation(t *testing.T) {
	at := func(after, took time.Duration) time.Time { return noon.Add(after + took) }
	for name, c := range map[string]struct {
		all   []asked
		cause Cause
		text  string
	}{
		"silent":  {nil, NeverAsked, "no request came"},
		"refused": {[]asked{{at: at(0, 0), verdict: "refused", reason: "not_active"}}, Refused, "not_active"},
		"failed":  {[]asked{{at: at(0, 0), verdict: "failed", reason: "device_absent"}}, Failed, "device_absent"},
		"used up": {
			[]asked{{at: at(800*time.Millisecond, 5*time.Second), took: 5 * time.Second, verdict: "failed", reason: "timeout"}},
			UsedUp, "timeout: asked 800 ms after the block, given up after 5.0 s",
		},
		"slow disk": {
			[]asked{{at: at(0, time.Second), took: time.Second, verdict: "failed", reason: "slow_disk"}},
			UsedUp, "slow_disk: asked 0 ms after the block, given up after 1.0 s",
		},
		"late": {
			[]asked{{at: at(3400*time.Millisecond, 45*time.Millisecond), took: 45 * time.Millisecond, verdict: "signed"}},
			AskedLate, "3.4 s after the block, signed in 45 ms",
		},
		"in time": {
			[]asked{{at: at(-time.Second, 45*time.Millisecond), took: 45 * time.Millisecond, verdict: "signed"}},
			NotIncluded, "signed in 45 ms, asked 0 ms after the block",
		},
		"other round": {
			[]asked{{at: at(0, 0), round: 1, verdict: "signed"}},
			OtherRound,
			"signed for round 1, and the chain agreed on round 0",
		},
		"a signature counts before a later refusal, and the round of the chain before another": {
			[]asked{
				{at: at(0, 0), round: 1, verdict: "signed"},
				{at: at(time.Second, 0), verdict: "replayed"},
				{at: at(2*time.Second, 0), verdict: "refused", reason: "not_above"},
			}, NotIncluded, "signed in 0 ms, asked 1.0 s after the block",
		},
	} {
		cause, text, _ := logOf(tezos.Attestation, c.all...).explain(attestation(7))
		require.Equal(t, []string{string(c.cause), c.text}, []string{string(cause), text}, name)
	}
}

// TestCausesOfABlock: only requests for the round of the right count.
func TestCausesOfABlock(t *testing.T) {
	p := attestation(7)
	p.Kind, p.Chain = tezos.Block, 1
	cause, _, _ := logOf(tezos.Block, asked{round: 1, verdict: "signed"}).explain(p)
	require.Equal(t, NeverAsked, cause)
	cause, text, _ := logOf(tezos.Block, asked{verdict: "signed", took: time.Second}).explain(p)
	require.Equal(t, NotIncluded, cause)
	require.Equal(t, "signed in 1.0 s, and the chain agreed on round 1", text)
	p.Chain = 0
	_, text, _ = logOf(tezos.Block, asked{verdict: "signed", took: 8 * time.Second}).explain(p)
	require.Equal(t, "signed in 8 s, and another block is on chain", text)
}

// TestASignerThatDidNotRun is told from a signer that was not asked, and both from a log that does not know.
func TestASignerThatDidNotRun(t *testing.T) {
	l := &Log{asked: map[place][]asked{}, first: noon}
	say := func(what string, after time.Duration) { l.event(audit.Event{At: noon.Add(after), What: what}) }
	cause := func(after time.Duration) Cause {
		p := attestation(7)
		p.At = noon.Add(after)
		c, _, _ := l.explain(p)
		return c
	}
	say(audit.Started, 0)
	say(audit.Role, time.Minute)
	say(audit.Ended, 10*time.Minute)
	say(audit.Started, 20*time.Minute)
	l.quiet = noon.Add(25 * time.Minute) // a decision, and then a power cut
	say(audit.Gap, 30*time.Minute)
	say(audit.Started, 30*time.Minute)
	say(audit.Role, 40*time.Minute)
	say(audit.Gap, 50*time.Minute) // the disk was full
	l.runs[2].to = noon.Add(time.Hour)
	for after, want := range map[time.Duration]Cause{
		-time.Minute: NoRecord, time.Minute: NeverAsked, 15 * time.Minute: NotRunning, 22 * time.Minute: NeverAsked,
		25*time.Minute + 30*time.Second: NoRecord, 27 * time.Minute: NotRunning, 35 * time.Minute: NeverAsked, 45 * time.Minute: NoRecord,
		55 * time.Minute: NeverAsked, 2 * time.Hour: NotRunning,
	} {
		require.Equal(t, want, cause(after), after)
	}
	l.Fault = errors.New("record 9: changed")
	require.Equal(t, NoRecord, cause(2*time.Hour))
	l = &Log{}
	require.Equal(t, NoRecord, cause(0))
}

// TestTheSum: what is not needed is no right, and what is unknown is not missed.
func TestTheSum(t *testing.T) {
	var past []rights.Past
	for level := range int32(2880) {
		p := attestation(level)
		p.Outcome = rights.Included
		past = append(past, p)
	}
	past[7].Outcome, past[9].Outcome, past[11].Outcome = rights.Missed, rights.Missed, rights.Unknown
	block := attestation(7)
	block.Kind, block.Outcome = tezos.Block, rights.NotNeeded
	past = append(past, block)
	took := 40 * time.Millisecond
	log := logOf(tezos.Attestation, asked{at: noon.Add(4*time.Second + took), took: took, verdict: "signed", device: "left"})
	alias := func(tezos.PublicKeyHash) string { return "consensus" }
	r := Tell(node.Levels{First: 1, Last: 2880}, past, log, alias, false)
	require.Equal(t, "of 2,880 attestations 2,877 included; 2 missed: 1 never asked, 1 asked late; "+
		"1 unknown: the node does not show the blocks", r.Attestations.Line("attestation", "attest", "included"))
	require.Equal(t, "no right to make a block", r.Blocks.Line("block", "make a block", "made"))
	require.Len(t, r.Rights, 3)
	require.Len(t, r.Steps(), 2)
	row := r.Rights[0]
	require.Equal(t, []any{int32(7), AskedLate, "left", int64(4000), int64(40), "consensus"},
		[]any{row.Level, row.Cause, row.Device, *row.AfterMS, *row.TookMS, row.Alias})
	require.Len(t, Tell(node.Levels{}, past, log, alias, true).Rights, len(past))
	require.Equal(t, "of 1 block 1 made; none missed", Sum{Rights: 1, Included: 1}.Line("block", "", "made"))
	require.Equal(t, "1,234,567", thousands(1234567))
}
