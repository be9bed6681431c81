package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Targets at a baker's pace.
const (
	stalledAdds  = 2 * time.Millisecond
	stalledTimes = 50.0
	busyAdds     = 5 * time.Millisecond
	busyTimes    = 100.0
	slowShare    = 1.05
	levelSyncs   = 2.0
)

// measurePace measures both cells, as far as the machine permits.
func (o options) measurePace(ctx context.Context, m *measured) error {
	m.stalled, m.noStalled = o.measureCell(ctx, cellStalled)
	m.busy, m.noBusy = o.measureCell(ctx, cellSaturated)
	return ctx.Err()
}

// paceRows are the targets felt by a baker.
func (m measured) paceRows() []row {
	own := quantile(m.device, 0.5)
	stall := row{
		what:   "baker's pace, each sync +100 ms, ahead 2: p99 beyond the device",
		target: "≤ 2 ms; ≥ 50 × better than the floor",
	}
	share := row{what: "baker's pace, ahead 2: p50 with each sync +2 ms, compared with the plain disk", target: "≤ 1.05 ×"}
	syncs := row{what: "syncs a level and key at baker's pace, ahead 2", target: "≤ 2"}
	full := row{
		what:   "baker's pace, a writer saturates the disk, ahead 2: p99 beyond the device",
		target: "≤ 5 ms; ≥ 100 × better than the floor; none lost",
	}
	for _, r := range []*row{&stall, &share, &syncs, &full} {
		r.measured, r.verdict = "not measured", unknown
	}
	if len(m.stalled) == len(stalled) {
		floor, late, two, plain := m.stalled[0], m.stalled[3], m.stalled[4], m.stalled[5]
		m.late(&stall, late, floor, own, stalledAdds, stalledTimes)
		stall.measured += "; HTTP alone " + milli(max(0, m.stalled[6].p99()-own))
		r := ratio(two.p50().Seconds(), plain.p50().Seconds())
		share.ratio, share.measured = times(r), milli(two.p50())+" beside "+milli(plain.p50())
		share.verdict = verdictOf(m.within(r, slowShare))
		n := 2 * ratio(late.Commits, float64(late.Levels))
		syncs.ratio, syncs.measured, syncs.verdict = times(n/levelSyncs), fmt.Sprintf("%.2f", n),
			verdictOf(n <= levelSyncs*max(1, m.margin))
	}
	if m.noStalled != nil {
		stall.measured = "not measured: " + m.noStalled.Error()
	}
	if len(m.busy) == len(busy) {
		m.late(&full, m.busy[2], m.busy[0], own, busyAdds, busyTimes)
		full.measured += "; HTTP alone " + milli(max(0, m.busy[3].p99()-own))
	} else if m.noBusy != nil {
		full.measured = "not measured: " + m.noBusy.Error()
	}
	return []row{stall, full, share, syncs}
}

// late compares a signer's delay beyond the device with the floor's delay. The floor's device takes no time.
func (m measured) late(r *row, c, floor paced, own, most time.Duration, better float64) {
	added := max(c.p99()-own, time.Microsecond)
	n := ratio(floor.p99().Seconds(), added.Seconds())
	r.ratio = times(n)
	r.measured = fmt.Sprintf("%s beside %s; %d of %d lost", milli(added), milli(floor.p99()), len(c.Lost),
		len(c.Lost)+len(c.Latency))
	r.verdict = verdictOf(added <= time.Duration(float64(most)*max(1, m.margin)) && n*max(1, m.margin) >= better &&
		len(c.Lost) == 0)
}

// paced are all signers asked at a baker's pace.
func (m measured) paced() []paced {
	out := append(append([]paced{}, m.stalled...), m.busy...)
	for _, c := range m.shared.signers {
		out = append(out, *c)
	}
	return out
}

// printPaced shows all measurements at a baker's pace.
func printPaced(w io.Writer, m measured) error {
	// Flush reports.
	_, _ = fmt.Fprintf(w, "\nAt a baker's pace, one key, new connections, device of 5 ms (none for a floor; without "+
		"the first levels):\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// Flush reports.
	_, _ = fmt.Fprintln(t, "SIGNER\tREQUESTS\tLOST\tp50\tp90\tp99\tMAX\tSYNCS A LEVEL\tWAITED FOR THE DISK\t")
	for _, c := range m.paced() {
		// Flush reports.
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%.2f\t%.0f\t\n", c.Name, len(c.Latency)+len(c.Lost), len(c.Lost),
			milli(c.p50()),
			milli(quantile(c.Latency, 0.9)), milli(c.p99()), milli(quantile(c.Latency, 1)),
			2*ratio(c.Commits, float64(c.Levels)), c.Waits)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range m.paced() {
		for _, lost := range c.Lost {
			if _, err := fmt.Fprintf(w, "lost: %s: %s\n", c.Name, lost); err != nil {
				return err
			}
		}
	}
	return nil
}
