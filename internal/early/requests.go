package early

import (
	"fmt"
	"slices"
	"time"
)

// Spans of the conditions of requests.
const (
	lastSignatures = 50             // for the median
	staleAfter     = 24 * time.Hour // a device without a signature for so long says nothing
	syncSpan       = 10 * time.Minute
	usedUpSpan     = 30 * time.Minute
	maxTimed       = 256 // bounds a memory of events
)

// signatures are the times of a device's last signatures.
type signatures struct {
	took [lastSignatures]time.Duration
	n    int // ever
	at   time.Time
}

func (s *signatures) add(took time.Duration, now time.Time) {
	s.took[s.n%lastSignatures] = took
	s.n, s.at = s.n+1, now
}

func (s *signatures) median() time.Duration {
	sorted := s.took
	slices.Sort(sorted[:])
	return sorted[lastSignatures/2]
}

// timed is something with its time.
type timed[T any] struct {
	is T
	at time.Time
}

// lately drops what is older than a span, and the oldest beyond the bound.
func lately[T any](all []timed[T], now time.Time, span time.Duration) []timed[T] {
	all = slices.DeleteFunc(all, func(e timed[T]) bool { return now.Sub(e.at) >= span })
	return all[max(0, len(all)-maxTimed):]
}

func (w *Watch) slowSignatures(now time.Time) (out []finding) {
	limit := w.limits.SlowSignature
	for name, s := range w.devices {
		if now.Sub(s.at) > staleAfter {
			delete(w.devices, name)
			continue
		}
		if limit == 0 || s.n < lastSignatures {
			continue
		}
		m := s.median()
		f := finding{
			name: SlowSignatures, of: name, state: between,
			text: fmt.Sprintf("half of the last %d signatures of device %s took more than %s; the limit is %s",
				lastSignatures, name, m.Round(time.Millisecond), limit),
			hint: "highwater status: the page and /history tell the share of device and disk; look at cable, hub and " +
				"prompts on the screen, or spread the keys over more devices",
		}
		switch {
		case m > limit:
			f.state = bad
		case m < limit*4/5:
			f.state = fair
		}
		out = append(out, f)
	}
	return out
}

// slowSync is bad for the time of syncSpan after each slow commit: no second warning comes with the next.
func (w *Watch) slowSync(now time.Time) []finding {
	if w.syncs = lately(w.syncs, now, syncSpan); len(w.syncs) == 0 {
		return nil
	}
	worst := time.Duration(0)
	for _, s := range w.syncs {
		worst = max(worst, s.is)
	}
	return []finding{{
		name: SlowSync, state: bad,
		text: fmt.Sprintf("a commit to the watermark file took %s; the limit is %s", worst.Round(time.Millisecond),
			w.limits.SlowSync),
		hint: "highwater check measures the disk; find the program that keeps the disk busy, or move state_dir to a disk " +
			"of its own",
	}}
}

// timeUsedUp counts levels, not requests: one reset of a device ends the time of many requests at one level. keep holds
// one entry for each level.
func (w *Watch) timeUsedUp(now time.Time) []finding {
	w.usedUp = lately(w.usedUp, now, usedUpSpan)
	levels, limit := len(w.usedUp), w.limits.TimeUsedUp
	if limit == 0 || levels == 0 {
		return nil
	}
	f := finding{
		name: TimeUsedUp, state: between,
		text: fmt.Sprintf("the time of requests ended before their signatures, at %d levels within %s", levels,
			minutes(usedUpSpan)),
		hint: "the log names the place of each: device, queue or disk; highwater check measures the disk",
	}
	if levels >= limit {
		f.state = bad
	}
	return []finding{f}
}

func minutes(d time.Duration) string { return fmt.Sprintf("%d minutes", int(d.Minutes())) }
