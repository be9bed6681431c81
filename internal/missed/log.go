package missed

import (
	"time"

	"highwater/internal/audit"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// Log holds the records of the audit log about some rights.
type Log struct {
	Fault error // the log could not be read, or not to its end; nil: all was read

	asked   map[place][]asked
	runs    []interval
	gaps    []interval
	ends    []interval // behind a run that did not end in order: its last records may be lost
	first   time.Time  // of the first record
	quiet   time.Time  // of the last record before now
	running bool       // a run has begun, and not ended
}

// place is a right, without the round: a key attests a level in several rounds.
type place struct {
	pkh   string
	kind  tezos.Kind
	level int32
}

func placeOf(p rights.Past) place { return place{p.PKH.String(), p.Kind, p.Level} }

// asked is the end of one request.
type asked struct {
	at      time.Time // of the end
	took    time.Duration
	round   int32
	verdict string
	reason  string
	device  string
}

// given tells whether a signature left.
func (a asked) given() bool {
	return a.verdict == "signed" || a.verdict == "replayed" || a.verdict == "registered"
}

// delay is the time between the block and the request.
func (a asked) delay(block time.Time) time.Duration { return a.at.Add(-a.took).Sub(block) }

// longestTook is the longest time of a request that a record can hold; a longer one is cut to it.
const longestTook = 6553 * time.Millisecond

// unwritten is how long the system may keep records from the disk: a power cut takes as much.
const unwritten = 40 * time.Second

// interval is a time from..to; both ends belong to it.
type interval struct{ from, to time.Time }

func within(all []interval, at time.Time) bool {
	for _, i := range all {
		if !at.Before(i.from) && !at.After(i.to) {
			return true
		}
	}
	return false
}

// ReadLog reads the audit log in a directory, as far as the log is about the rights. now ends the run of a daemon that
// runs; zero: no daemon runs.
func ReadLog(dir string, about []rights.Past, now time.Time) *Log {
	l := &Log{asked: map[place][]asked{}}
	wanted := map[place]bool{}
	for _, p := range about {
		wanted[placeOf(p)] = true
	}
	l.Fault = audit.Each(dir, func(r audit.Row) bool {
		if l.first.IsZero() {
			l.first = r.At
		}
		if d := r.Decision; d != nil {
			if at := (place{d.PKH, d.Kind, d.Level}); wanted[at] {
				l.asked[at] = append(l.asked[at], asked{
					at: r.At, took: time.Duration(d.TookMS * float64(time.Millisecond)), round: d.Round,
					verdict: d.Verdict, reason: d.Reason, device: d.Device,
				})
			}
			l.quiet = r.At
			return true
		}
		l.event(*r.Event)
		return true
	})
	if end := now; l.running {
		if now.IsZero() { // ended without order
			end = l.quiet
			l.ends = append(l.ends, interval{l.quiet, l.quiet.Add(unwritten)})
		}
		l.runs[len(l.runs)-1].to = end
	}
	return l
}

// event keeps the runs and the gaps. A run without an end ended at its last record.
func (l *Log) event(e audit.Event) {
	switch e.What {
	case audit.Started:
		if l.running {
			l.runs[len(l.runs)-1].to = l.quiet
			l.ends = append(l.ends, interval{l.quiet, l.quiet.Add(min(unwritten, e.At.Sub(l.quiet)))})
		}
		// Times of blocks are in whole seconds, and a request comes after its block.
		l.runs, l.running = append(l.runs, interval{from: e.At.Add(-time.Second)}), true
	case audit.Ended:
		if l.running {
			l.runs[len(l.runs)-1].to = e.At
		}
		l.running = false
	case audit.Gap:
		if !l.quiet.IsZero() {
			l.gaps = append(l.gaps, interval{l.quiet, e.At})
		}
		return // the time before belongs to no record
	}
	l.quiet = e.At
}
