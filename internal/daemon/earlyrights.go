package daemon

import (
	"fmt"
	"time"

	"highwater/internal/early"
	"highwater/internal/history"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// earlyRights joins what the chain shows of past rights with the requests that came for them.
type earlyRights struct {
	follower *rights.Follower
	recent   *history.History
	signing  func() (since time.Time, ok bool) // whether this instance signs, and since when
}

// settled gives the rights at the final levels from.., and the level after them. Rights whose outcome the node does not
// tell are left out.
func (e earlyRights) settled(from int32) (out []early.Settled, next int32) {
	_, to := e.follower.Known()
	if to < from {
		return nil, from
	}
	since, signs := e.signing()
	for _, p := range e.follower.Past(from) {
		if p.Level > to || p.Outcome == rights.Unknown || p.Outcome == rights.NotNeeded {
			continue
		}
		q := e.recent.At(p.PKH, p.Kind, p.Level)
		out = append(out, early.Settled{
			Key: p.PKH.String(), Level: p.Level, Block: p.Kind == tezos.Block, Missed: p.Outcome == rights.Missed,
			Ours: signs && p.At.After(since), Asked: q.State != history.None, Fault: faultOf(p, q),
		})
	}
	return out, to + 1
}

// faultOf tells why a right was missed.
func faultOf(p rights.Past, q history.Square) string {
	switch q.State {
	case history.None:
		return "nobody asked for it"
	case history.Fenced, history.Refused, history.Failed, history.Conflict:
		return fmt.Sprintf("the request ended as %s (%s)", q.State, q.Reason)
	case history.Signed, history.Replayed:
	}
	took := time.Duration(q.TookUS) * time.Microsecond
	if late := q.At.Add(-took).Sub(p.At); p.Kind == tezos.Attestation && late > rights.Late {
		return fmt.Sprintf("the baker asked %s after the block", late.Round(100*time.Millisecond))
	}
	return fmt.Sprintf("signed within %d ms, and not included: the node or its network", took.Milliseconds())
}

// earlyRights are the rights of this daemon's keys. Rights from before the start count for nobody.
func (d *Daemon) earlyRights() earlyRights {
	began := time.Now()
	return earlyRights{d.Rights, d.Admin.Recent, func() (time.Time, bool) {
		since := d.Store.Role().Since
		if since.Before(began) {
			since = began
		}
		return since, d.Signer.Active()
	}}
}

// unheld are the keys that no device here can sign with.
func (in *Instance) unheld() (out []early.Unheld) {
	for _, h := range in.Signer.KeysHealth() {
		for _, f := range h.Faults {
			if f.OfDevice() {
				out = append(out, early.Unheld{Key: h.PKH.String(), Text: f.Text, Hint: f.Hint})
				break
			}
		}
	}
	return out
}
