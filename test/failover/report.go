package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// result is the result of a scenario.
type result struct {
	Name       string   `json:"name"`
	Passed     bool     `json:"passed"`
	Error      string   `json:"error,omitempty"`
	BlockMS    int64    `json:"block_ms"`
	Signatures int      `json:"signatures"` // signed places
	Doubles    int      `json:"doubles"`    // places with two payloads
	Expected   bool     `json:"doubles_expected"`
	Missed     int      `json:"missed"` // counted levels at which a key attested nothing
	Counted    int      `json:"counted"`
	GapMS      float64  `json:"gap_ms"` // the longest measured gap
	TookMS     int64    `json:"took_ms"`
	Notes      []string `json:"notes,omitempty"`
	Log        string   `json:"log,omitempty"` // directory of the logs, after a failure
}

// note keeps a measurement.
func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// gap keeps the longest.
func (r *result) gap(d time.Duration) { r.GapMS = max(r.GapMS, float64(d.Microseconds())/1000) }

// report is a whole run.
type report struct {
	Seed    uint64   `json:"seed"`
	Passed  bool     `json:"passed"`
	TookMS  int64    `json:"took_ms"`
	Results []result `json:"scenarios"`
}

func newReport(seed uint64, results []result, took time.Duration) report {
	r := report{Seed: seed, Passed: len(results) > 0, TookMS: took.Milliseconds(), Results: results}
	for _, one := range results {
		r.Passed = r.Passed && one.Passed
	}
	return r
}

func (r report) json() (string, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return string(b) + "\n", err
}

// table is for people.
func (r report) table() string {
	out, rows := &strings.Builder{}, &strings.Builder{}
	rows.WriteString("scenario\tblocks\tsigned\tdouble\tmissed\tgap\ttook\t\n")
	for _, s := range r.Results {
		verdict := "ok"
		if !s.Passed {
			verdict = "FAILED"
		}
		doubles, gap, missed := fmt.Sprint(s.Doubles), "-", "-"
		if s.Expected {
			doubles += " (expected)"
		}
		if s.GapMS > 0 {
			gap = fmt.Sprintf("%.0f ms", s.GapMS)
		}
		if s.Counted > 0 {
			missed = fmt.Sprintf("%d of %d", s.Missed, s.Counted)
		}
		block := time.Duration(s.BlockMS) * time.Millisecond
		fmt.Fprintf(rows, "%s\t%s\t%d\t%s\t%s\t%s\t%.1f s\t%s\n", s.Name, block, s.Signatures, doubles, missed, gap,
			float64(s.TookMS)/1000, verdict)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = w.Write([]byte(rows.String())) // to memory
	_ = w.Flush()
	for _, s := range r.Results {
		for _, n := range s.Notes {
			fmt.Fprintf(out, "  %s: %s\n", s.Name, n)
		}
		if s.Error != "" {
			fmt.Fprintf(out, "FAILED %s (-run '^%s$' -seed %d): %s\n", s.Name, s.Name, r.Seed, s.Error)
		}
		if s.Log != "" {
			fmt.Fprintf(out, "  logs: %s\n", s.Log)
		}
	}
	return out.String()
}
