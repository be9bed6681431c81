package missed

import (
	"fmt"
	"time"

	"highwater/internal/rights"
	"highwater/internal/tezos"
	"highwater/internal/words"
)

// Cause is why a right was missed, as far as this machine knows.
type Cause string

// Causes of a missed right.
const (
	NeverAsked  Cause = "never asked"
	Refused     Cause = "refused"
	Failed      Cause = "failed"
	UsedUp      Cause = "time used up"
	AskedLate   Cause = "asked late"
	NotIncluded Cause = "not included"
	OtherRound  Cause = "other round"
	NotRunning  Cause = "not running"
	NoRecord    Cause = "no record"
)

// causes are in the order of a summary, each with the next step.
var causes = []struct {
	Cause
	step string
}{
	{NeverAsked, "did octez-baker run, with its node in step? Its log has the level"},
	{Refused, "the reasons are in docs/monitoring.md; highwater audit show has each request"},
	{Failed, "highwater status shows the devices; highwater check measures the disk"},
	{UsedUp, "the device or the disk took too long: highwater check; the status page has the shares of both"},
	{AskedLate, "the node saw the block late, or octez-baker was slow: the peers and the load of the node's machine"},
	{NotIncluded, "the signature left in time: the node's peers and its link, or the next baker left it out"},
	{OtherRound, "the chain agreed on a round that octez-baker did not ask for: the peers of the node"},
	{NotRunning, "systemctl status highwater; the audit log has starts and ends: highwater audit show"},
	{NoRecord, "the log of this machine cannot tell; the other machine of a pair has a log of its own"},
}

// explain tells why a right was missed.
func (l *Log) explain(p rights.Past) (cause Cause, text string, last *asked) {
	all := l.asked[placeOf(p)]
	var given, at *asked
	for i := range all {
		a := &all[i]
		if p.Kind == tezos.Block && a.round != p.Round {
			continue
		}
		if at = a; a.given() && (given == nil || a.round == p.Chain && given.round != p.Chain) {
			given = a
		}
	}
	switch {
	case given != nil:
		cause, text = ofGiven(p, *given)
		return cause, text, given
	case at != nil:
		cause, text = ofRefused(p, *at)
		return cause, text, at
	}
	cause, text = l.silent(p)
	return cause, text, nil
}

// ofGiven tells why a signature did not get on chain.
func ofGiven(p rights.Past, a asked) (Cause, string) {
	delay := a.delay(p.At)
	signed := "signed in " + span(a.took)
	switch {
	case p.Kind == tezos.Block && p.Chain > p.Round:
		return NotIncluded, fmt.Sprintf("%s, and the chain agreed on round %d", signed, p.Chain)
	case p.Kind == tezos.Block:
		return NotIncluded, signed + ", and another block is on chain"
	case a.round != p.Chain:
		return OtherRound, fmt.Sprintf("signed for round %d, and the chain agreed on round %d", a.round, p.Chain)
	case delay >= rights.Late:
		return AskedLate, fmt.Sprintf("%s after the block, %s", span(delay), signed)
	}
	return NotIncluded, fmt.Sprintf("%s, asked %s after the block", signed, span(max(delay, 0)))
}

// ofRefused tells why no signature was given.
func ofRefused(p rights.Past, a asked) (Cause, string) {
	switch {
	case a.verdict == "refused":
		return Refused, a.reason
	case a.reason == "timeout" || a.reason == "slow_disk":
		return UsedUp, fmt.Sprintf("%s: asked %s after the block, given up after %s", a.reason,
			span(max(a.delay(p.At), 0)), span(a.took))
	}
	return Failed, words.Dash(a.reason)
}

// silent tells why no request was recorded.
func (l *Log) silent(p rights.Past) (Cause, string) {
	switch {
	case l.first.IsZero():
		return NoRecord, "there is no audit log"
	case p.At.Before(l.first.Add(-time.Second)): // times of blocks are in whole seconds
		return NoRecord, "the audit log begins later, at " + words.Time(l.first)
	case !within(l.runs, p.At) && within(l.ends, p.At):
		return NoRecord, "the run did not end in order, and its last records may be lost"
	case !within(l.runs, p.At):
		if l.Fault != nil && p.At.After(l.quiet) {
			return NoRecord, "the audit log is not readable up to here"
		}
		return NotRunning, "the signer did not run"
	case within(l.gaps, p.At):
		return NoRecord, "the audit log has a gap"
	}
	return NeverAsked, "no request came"
}

// span is a time in the words of a table.
func span(d time.Duration) string {
	if d >= longestTook {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
