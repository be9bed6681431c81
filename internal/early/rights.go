package early

import (
	"fmt"
	"time"
)

const (
	missedSpan  = time.Hour
	rightsSpan  = 24 * time.Hour // a key with a right within this time is in service
	blockWeighs = 1 << 20        // one missed block is enough
)

// Settled is a right of a key at a final level.
type Settled struct {
	Key    string
	Level  int32
	Block  bool // else an attestation
	Missed bool // the chain shows nothing of the key
	// Ours: this instance had the right to sign at that time. Rights of another time are not its fault.
	Ours  bool
	Asked bool   // a request came for the right
	Fault string // of a missed right: why, in words
}

// Unheld is a key that no device here can sign with.
type Unheld struct{ Key, Text, Hint string }

// record is the past of a key's rights.
type record struct {
	silent int       // attestations in a row without a request
	at     time.Time // of the last right
	missed []timed[Settled]
}

// readRights takes in the rights that became final since the last look.
func (w *Watch) readRights(now time.Time) {
	if w.from.Settled == nil {
		return
	}
	rights, next := w.from.Settled(w.settled)
	w.settled = next
	for _, r := range rights {
		k, ok := w.rights[r.Key]
		if !ok {
			k = &record{}
			w.rights[r.Key] = k
		}
		k.at = now
		switch {
		case !r.Ours:
			k.silent = 0
			continue
		case r.Asked, !r.Missed: // on chain is asked: the memory of requests is short
			k.silent = 0
		case !r.Block:
			k.silent++
		}
		if r.Missed {
			k.missed = append(k.missed, timed[Settled]{r, now})
		}
	}
	for key, k := range w.rights {
		if now.Sub(k.at) > rightsSpan {
			delete(w.rights, key)
		}
	}
}

func (w *Watch) bakerSilent(now time.Time) (out []finding) {
	w.readRights(now)
	limit := w.limits.SilentRights
	for key, k := range w.rights {
		if limit == 0 || k.silent == 0 {
			continue
		}
		f := finding{
			name: BakerSilent, of: key, state: between,
			text: fmt.Sprintf("nobody asked for the last %d attestations of %s, and the key had the rights", k.silent, key),
			hint: "is octez-baker running, is its node in step, and does it reach the signer? journalctl -u octez-baker",
		}
		if k.silent >= limit {
			f.state = bad
		}
		out = append(out, f)
	}
	return out
}

func (w *Watch) rightsMissed(now time.Time) (out []finding) {
	limit := w.limits.MissedRights
	for key, k := range w.rights {
		if k.missed = lately(k.missed, now, missedSpan); limit == 0 || len(k.missed) == 0 {
			continue
		}
		weight := 0
		for _, m := range k.missed {
			if weight++; m.is.Block {
				weight += blockWeighs
			}
		}
		last := k.missed[len(k.missed)-1].is
		what := "the attestation of"
		if last.Block {
			what = "the block of"
		}
		f := finding{
			name: RightsMissed, of: key, state: between,
			text: fmt.Sprintf("the chain shows %d missed rights of %s within an hour; the last is %s level %d: %s",
				len(k.missed), key, what, last.Level, last.Fault),
			hint: "highwater missed --last 2h: each right with its cause",
		}
		switch {
		case weight >= limit:
			f.state = bad
		case weight <= limit/2:
			f.state = fair
		}
		out = append(out, f)
	}
	return out
}

// keyUnheld looks at keys with rights only: a key of no baker may stay without a device.
func (w *Watch) keyUnheld(time.Time) (out []finding) {
	if w.from.Unheld == nil || len(w.rights) == 0 {
		return nil
	}
	for _, k := range w.from.Unheld() {
		if _, serves := w.rights[k.Key]; serves {
			out = append(out, finding{
				name: KeyUnheld, of: k.Key, state: bad, hint: k.Hint,
				text: "key " + k.Key + " has rights, and no device here can sign with the key: " + k.Text,
			})
		}
	}
	return out
}
