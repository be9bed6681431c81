package missed

import (
	"fmt"
	"strings"
	"time"

	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// Row is a right with its end.
type Row struct {
	Level   int32               `json:"level"`
	At      time.Time           `json:"at"` // of the block on chain; zero where the node does not have the block
	PKH     tezos.PublicKeyHash `json:"pkh"`
	Alias   string              `json:"alias,omitempty"`
	Kind    string              `json:"kind"`
	Round   int32               `json:"round"`       // of a block
	Chain   int32               `json:"chain_round"` // negative: unknown
	Outcome rights.Outcome      `json:"outcome"`
	Cause   Cause               `json:"cause,omitempty"` // of a missed right
	Text    string              `json:"text,omitempty"`
	Verdict string              `json:"verdict,omitempty"` // of the request that counts; empty: no request is known
	Reason  string              `json:"reason,omitempty"`
	Device  string              `json:"device,omitempty"`
	AfterMS *int64              `json:"asked_after_ms,omitempty"` // between the block's time and the request
	TookMS  *int64              `json:"took_ms,omitempty"`
}

// Sum counts the rights of one kind.
type Sum struct {
	Rights    int           `json:"rights"`
	Included  int           `json:"included"`
	Missed    int           `json:"missed"`
	NotNeeded int           `json:"not_needed"`
	Unknown   int           `json:"unknown"`
	Causes    map[Cause]int `json:"causes"`
}

// Report is the answer for a span.
type Report struct {
	From         int32    `json:"from"`
	To           int32    `json:"to"`
	Notes        []string `json:"notes"`
	Attestations Sum      `json:"attestations"`
	Blocks       Sum      `json:"blocks"`
	Rights       []Row    `json:"rights"`
}

// Tell joins the outcomes of a span with the log. With all every right has a row; else the missed and unknown ones.
func Tell(l node.Levels, past []rights.Past, log *Log, alias func(tezos.PublicKeyHash) string, all bool) Report {
	r := Report{
		From: l.First, To: l.Last, Notes: []string{}, Rights: []Row{},
		Attestations: Sum{Causes: map[Cause]int{}}, Blocks: Sum{Causes: map[Cause]int{}},
	}
	for _, p := range past {
		row := rowOf(p, log)
		row.Alias = alias(p.PKH)
		sum := &r.Attestations
		if p.Kind == tezos.Block {
			sum = &r.Blocks
		}
		sum.add(row)
		if all || p.Outcome == rights.Missed || p.Outcome == rights.Unknown {
			r.Rights = append(r.Rights, row)
		}
	}
	return r
}

func rowOf(p rights.Past, log *Log) Row {
	row := Row{
		Level: p.Level, At: p.At, PKH: p.PKH, Kind: p.Kind.String(), Round: p.Round, Chain: p.Chain, Outcome: p.Outcome,
	}
	if p.Outcome == rights.Unknown || p.Outcome == rights.NotNeeded {
		return row
	}
	cause, text, request := log.explain(p)
	if p.Outcome == rights.Missed {
		row.Cause, row.Text = cause, text
	}
	if request != nil {
		took, after := request.took.Milliseconds(), request.delay(p.At).Milliseconds()
		row.Verdict, row.Reason, row.Device, row.TookMS = request.verdict, request.reason, request.device, &took
		if p.Kind == tezos.Attestation {
			row.AfterMS = &after
		}
	}
	return row
}

func (s *Sum) add(r Row) {
	s.Rights++
	switch r.Outcome {
	case rights.Included:
		s.Included++
	case rights.Missed:
		s.Missed++
		s.Causes[r.Cause]++
	case rights.NotNeeded:
		s.NotNeeded++
	case rights.Unknown:
		s.Unknown++
	}
}

// Line is the sum in one line, given the words for a right: "attestation", "attest", "included".
func (s Sum) Line(one, verb, good string) string {
	due := s.Rights - s.NotNeeded
	if due == 0 {
		return "no right to " + verb
	}
	if due != 1 {
		one += "s"
	}
	text := fmt.Sprintf("of %s %s %s %s", thousands(due), one, thousands(s.Included), good)
	if s.Missed == 0 {
		text += "; none missed"
	} else {
		text += fmt.Sprintf("; %s missed: %s", thousands(s.Missed), s.why())
	}
	if s.Unknown > 0 {
		text += fmt.Sprintf("; %s unknown: the node does not show the blocks", thousands(s.Unknown))
	}
	return text
}

func (s Sum) why() string {
	var parts []string
	for _, c := range causes {
		if n := s.Causes[c.Cause]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", thousands(n), c.Cause))
		}
	}
	return strings.Join(parts, ", ")
}

// Steps are the next steps for the causes of a report, the most telling first.
func (r Report) Steps() (out []string) {
	for _, c := range causes {
		if r.Attestations.Causes[c.Cause]+r.Blocks.Causes[c.Cause] > 0 {
			out = append(out, fmt.Sprintf("%s: %s", c.Cause, c.step))
		}
	}
	return out
}

// thousands is a number as people read it.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
