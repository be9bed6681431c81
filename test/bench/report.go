package main

import (
	"fmt"
	"io"
	"time"

	"highwater/internal/words"
)

// measured is the result of one run.
type measured struct {
	cells            []cell
	noSlow           error // reason for the lack of a slow disk
	device           []time.Duration
	batch, update    []time.Duration
	many             many
	replug, gaps     []time.Duration
	stalled, busy    []paced // at a baker's pace
	noStalled        error   // reason for the lack of stalling disks
	noBusy           error   // reason for the lack of a saturated disk
	onDisk, inMemory transports
	shared           shared
	watched          []watched
	margin           float64 // allowed factor above a target: 1.5 is half as much again; zero is 1
}

// Targets.
const (
	floorShare   = 0.7
	fileShare    = 1.0 // with one key
	overhead     = 300 * time.Microsecond
	slowTail     = 30 * time.Millisecond
	readyTarget  = 300 * time.Millisecond
	mostTarget   = 500 * time.Millisecond
	rssTarget    = 60 << 20
	sizeTarget   = 4 << 20
	batchDefault = 10 * time.Millisecond
	replugTarget = 2 * time.Second
	gapTarget    = 300 * time.Millisecond
)

// within tells whether a value is below its target, with the margin.
func (m measured) within(value, target float64) bool { return value < target*max(1, m.margin) }

func (m measured) find(keys int, slow bool, s style) (cell, bool) {
	for _, c := range m.cells {
		if c.keys == keys && c.slow == slow && c.style == s {
			return c, true
		}
	}
	return cell{}, false
}

// rows are the targets, in order.
func (m measured) rows() []row {
	out := m.paceRows()
	for _, keys := range []int{1, 64} {
		for _, slow := range []bool{false, true} {
			for _, s := range styles {
				out = append(out, m.floorRow(keys, slow, s))
			}
		}
	}
	if c, ok := m.find(64, true, octezStyle); ok {
		out = append(out, row{
			"64 keys at once, p99, disk +2 ms", "< " + milli(slowTail), milli(c.merged(zeroDevice).p99()),
			times(ratio(c.merged(zeroDevice).p99().Seconds(), c.merged(theFloor).p99().Seconds())),
			verdictOf(m.within(c.merged(zeroDevice).p99().Seconds(), slowTail.Seconds())),
		})
	}
	for _, keys := range keyCounts {
		out = append(out, m.fileRow(keys))
	}
	for _, slow := range []bool{false, true} {
		for _, w := range []who{zeroDevice, slowDevice} {
			for _, s := range styles {
				out = append(out, m.overheadRows(w, slow, s)...)
			}
		}
	}
	out = append(out, m.transportRows()...)
	out = append(out, m.sharedRows()...)
	out = append(out, m.watchRows()...)
	out = append(out, m.otherRows()...)
	return append(out,
		m.worstRow("re-plugged device to the waiting request's signature, emulated", replugTarget, m.replug),
		m.worstRow("live handover, from the last signature here to the first signature there", gapTarget, m.gaps))
}

// worstRow holds the slowest of some against a target.
func (m measured) worstRow(what string, target time.Duration, all []time.Duration) row {
	worst := quantile(all, 1)
	return row{
		fmt.Sprintf("%s, slowest of %d", what, len(all)), "< " + milli(target),
		fmt.Sprintf("%s (p50 %s)", milli(worst), milli(quantile(all, 0.5))),
		times(ratio(worst.Seconds(), target.Seconds())),
		verdictOf(len(all) > 0 && m.within(worst.Seconds(), target.Seconds())),
	}
}

func (m measured) floorRow(keys int, slow bool, s style) row {
	r := row{
		what: fmt.Sprintf("%s, disk %s, %s: rate beside the least durable signer's", words.Count(keys, "key"),
			cell{slow: slow}.disk(), s.name),
		target: fmt.Sprintf("≥ %.1f ×", floorShare), measured: "not measured", verdict: unknown,
	}
	if c, ok := m.find(keys, slow, s); ok {
		share := c.against(theFloor)
		r.ratio, r.verdict = times(share), verdictOf(share*max(1, m.margin) >= floorShare)
		r.measured = fmt.Sprintf("%.0f/s beside %.0f/s", c.merged(zeroDevice).rate(), c.merged(theFloor).rate())
	}
	return r
}

// fileRow compares with the file model, which never waits for a disk. With several keys the model's lock decides, and
// the row has no target.
func (m measured) fileRow(keys int) row {
	r := row{
		what:   words.Count(keys, "key") + ", new connections: beside a file watermark without sync (our model)",
		target: "shown only", measured: "not measured", verdict: unknown,
	}
	if keys == 1 {
		r.target = fmt.Sprintf("≥ %.0f ×", fileShare)
	}
	if c, ok := m.find(keys, false, octezStyle); ok {
		share := c.against(fileModel)
		r.ratio = times(share)
		if keys == 1 {
			r.verdict = verdictOf(share*max(1, m.margin) >= fileShare)
		}
		r.measured = fmt.Sprintf("%.0f/s beside %.0f/s", c.merged(zeroDevice).rate(), c.merged(fileModel).rate())
	}
	return r
}

// overheadRows compare a lone request's time beside the device with the allowed time: the part of the commit not
// covered by the device, and 0.3 ms.
func (m measured) overheadRows(w who, slow bool, s style) []row {
	c, ok := m.find(1, slow, s)
	if !ok {
		return nil
	}
	own := time.Duration(0)
	name := "device of 0 ms"
	if w == slowDevice {
		own, name = quantile(m.device, 0.5), "device of 5 ms"
	}
	allowed := max(0, c.commit()-own) + overhead
	got := c.merged(w)
	line := func(what string, total time.Duration) row {
		added := total - own
		return row{
			what:   fmt.Sprintf("added to the device, 1 key, %s, disk %s, %s, %s", name, c.disk(), s.name, what),
			target: "< " + milli(allowed), measured: milli(added),
			ratio:   times(ratio(added.Seconds(), allowed.Seconds())),
			verdict: verdictOf(m.within(added.Seconds(), allowed.Seconds())),
		}
	}
	tail := line("p99", got.p99())
	tail.verdict = unknown // the target is about the median
	rows := []row{line("p50", got.p50()), tail}
	if bare := c.merged(bareHTTP); w == slowDevice && bare.took > 0 {
		httpOnly := line("p50 without any mark", bare.p50())
		httpOnly.what, httpOnly.verdict = "  a signer with a wait of 5 ms and no memory: HTTP alone, p50", unknown
		httpOnly.measured += "; Highwater on top: " + milli(got.p50()-bare.p50())
		rows = append(rows, httpOnly)
	}
	return rows
}

// startRow holds the daemon's own part of a start against a target.
func (m measured) startRow(keys int, s startTimes, target time.Duration) row {
	return row{
		fmt.Sprintf("start to ready, %d keys", keys), "< " + milli(target) + " + the devices' own",
		fmt.Sprintf("%s, devices %s", milli(s.ready), milli(s.devices)),
		times(ratio(s.own().Seconds(), target.Seconds())), verdictOf(m.within(s.own().Seconds(), target.Seconds())),
	}
}

func (m measured) otherRows() []row {
	b, u := quantile(m.batch, 0.5), quantile(m.update, 0.5)
	one, _ := m.find(1, false, keptStyle)
	commit := one.merged(zeroDevice).p50()
	x := m.many
	sizeWhat := fmt.Sprintf("marks.db after %d signatures", x.signatures)
	return []row{
		{
			"a whole request beside bbolt's Batch with the default delay", "never that way",
			fmt.Sprintf("%s beside %s (Update: %s)", milli(commit), milli(b), milli(u)),
			times(ratio(commit.Seconds(), b.Seconds())), verdictOf(commit < batchDefault),
		},
		m.startRow(manyKeys, x.start, readyTarget),
		m.startRow(mostKeys, x.startMost, mostTarget),
		{
			fmt.Sprintf("memory, %d keys under load (%.0f/s), emulated devices included", manyKeys, x.rate),
			fmt.Sprintf("< %d MiB", rssTarget>>20),
			fmt.Sprintf("%.1f MiB", float64(x.rss)/(1<<20)), times(ratio(float64(x.rss), rssTarget)),
			verdictOf(m.within(float64(x.rss), rssTarget)),
		},
		{
			sizeWhat, fmt.Sprintf("< %d MiB", sizeTarget>>20),
			fmt.Sprintf("%.2f MiB (%.2f before)", float64(x.size)/(1<<20), float64(x.sizeBefore)/(1<<20)),
			times(ratio(float64(x.size), sizeTarget)), verdictOf(m.within(float64(x.size), sizeTarget)),
		},
	}
}

func (m measured) print(w io.Writer, o options, rows []row, took time.Duration) error {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // a terminal
	say("%s", describeMachine(o.dir))
	for _, slow := range []bool{false, true} {
		if c, ok := m.find(1, slow, keptStyle); ok {
			say("disk %s: a write with a sync takes %s, the syncs of a bbolt commit %s", c.disk(),
				milli(c.sync()), milli(c.commit()))
		}
	}
	if m.noSlow != nil {
		say("disk +2 ms: not measured: %v", m.noSlow)
	}
	say("device of 5 ms, alone with the driver: p50 %s, p99 %s", milli(quantile(m.device, 0.5)),
		milli(quantile(m.device, 0.99)))
	say("slices of %s, %d turns; the whole took %s\n", o.slice, o.turns, took.Round(time.Second))
	if err := printRows(w, rows); err != nil {
		return err
	}
	if err := printPaced(w, m); err != nil {
		return err
	}
	say("\nEverything under load. FLOOR: append and sync, together for several keys. FILE: our model of a file " +
		"watermark without syncs.\n")
	if err := printCells(w, m.cells); err != nil {
		return err
	}
	say("\nWhat a signature costs, devices of 0 ms included:\n")
	return printUsage(w, m.cells)
}
