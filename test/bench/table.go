package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is a line of the table of targets.
type row struct {
	what     string
	target   string
	measured string
	ratio    string // ratio to the compared signer in the same run; empty without a comparison
	verdict  verdict
}

type verdict string

const (
	pass    verdict = "pass"
	missed  verdict = "MISSED"
	unknown verdict = "-" // not measured here, or only shown
)

func verdictOf(ok bool) verdict {
	if ok {
		return pass
	}
	return missed
}

func times(r float64) string { return fmt.Sprintf("%.2f ×", r) }

// milli shows a duration in milliseconds.
func milli(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// anyMissed tells whether a target was.
func anyMissed(rows []row) bool {
	for _, r := range rows {
		if r.verdict == missed {
			return true
		}
	}
	return false
}

func printRows(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "RATIO\tWHAT\tTARGET\tMEASURED\tVERDICT") // Flush reports
	for _, r := range rows {
		if r.ratio == "" {
			r.ratio = "-"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.ratio, r.what, r.target, r.measured, r.verdict) // Flush reports
	}
	return t.Flush()
}

// printCells shows all measurements under load, a line for each set of keys, disk and style.
func printCells(w io.Writer, cells []cell) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\t\n", args...) } // Flush reports
	line("KEYS\tDISK\tCLIENT\tvs FLOOR\tvs FILE\tHIGHWATER\tp50\tp99\tFLOOR\tp50\tp99\tFILE\tp50\tp99\t" +
		"DEVICES OF 5 ms\tp50\tp99")
	for _, c := range cells {
		h, f, m, d := c.merged(zeroDevice), c.merged(theFloor), c.merged(fileModel), c.merged(slowDevice)
		vsFile, file := "-", "-\t-\t-"
		if m.took > 0 {
			vsFile, file = times(c.against(fileModel)), shown(m)
		}
		line("%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", c.keys, c.disk(), c.style.name, times(c.against(theFloor)), vsFile,
			shown(h), shown(f), file, shown(d))
	}
	return t.Flush()
}

func shown(s sample) string {
	return fmt.Sprintf("%.0f/s\t%s\t%s", s.rate(), milli(s.p50()), milli(s.p99()))
}

// printUsage shows the cost of a signature. With many keys, the processors are the bottleneck: the ratio of the rates
// is then the ratio of the last columns, client included on both sides.
func printUsage(w io.Writer, cells []cell) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	// Flush reports.
	_, _ = fmt.Fprintln(t, "KEYS\tDISK\tCLIENT\tsyncs\tallocations\tCPU: HIGHWATER\tFLOOR\tclient\tratio\t")
	for _, c := range cells {
		n, all := c.use.signatures, 0
		for w := range whoCount {
			all += len(c.merged(w).latency)
		}
		ours, floor := c.cpuOf(zeroDevice), c.cpuOf(theFloor)
		client := ratio(float64(c.client.Microseconds()), float64(all))
		// Flush reports.
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%.2f\t%.0f\t%.0f µs\t%.0f µs\t%.0f µs\t%s\t\n", c.keys, c.disk(), c.style.name,
			2*ratio(c.use.commits, n), ratio(c.use.allocations, n), ours, floor, client, times(ratio(floor+client, ours+client)))
	}
	return t.Flush()
}
