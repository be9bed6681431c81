package hwm

import (
	"errors"
	"fmt"

	"highwater/internal/hints"
	"highwater/internal/tezos"
)

// State is the knowledge of a key, kind and chain when a request is decided.
type State struct {
	// Mark is nil without a mark: absent is not zero.
	Mark *Mark
	// Ceiling is nil without a ceiling.
	Ceiling *Ceiling
	// Fresh: this process made the mark, and knows that no signature was released as long as none is kept.
	Fresh bool
	// Limit is the highest level to which the mark may be moved.
	Limit Limit
}

// Verdict is the outcome of a decision. The zero value is no verdict, and not a yes.
type Verdict uint8

// The verdicts.
const (
	Undecided Verdict = iota
	Advance           // move the mark to the request, then sign
	Replay            // give the kept signature again
	Resume            // ask the device again for exactly the same bytes; the mark is at the place already
	Refuse
)

func (v Verdict) String() string {
	switch v {
	case Advance:
		return "advance"
	case Replay:
		return "replay"
	case Resume:
		return "resume"
	case Refuse:
		return "refuse"
	case Undecided:
	}
	return "undecided"
}

// Reason says why a request is refused by its mark.
type Reason string

// The reasons.
const (
	NoMark       Reason = "no_mark"       // the key has no mark of the kind on the chain
	NotAbove     Reason = "not_above"     // at or below the mark
	Conflict     Reason = "conflict"      // at the mark with different bytes: a request for a double signature
	AboveCeiling Reason = "above_ceiling" // the peer may sign above the ceiling
	TooFar       Reason = "too_far"       // further above all known levels than time explains
)

// Decision is the answer to a request.
type Decision struct {
	Verdict Verdict
	Reason  Reason // set when refused
	Mark    Mark   // the new mark (Advance), or the present mark (Replay, Resume)
}

// Decide applies the rule. Nothing else compares a request with a mark.
//
// Invariant: Advance is returned only for a request strictly above the mark, not above the ceiling, and not too far
// away.
func Decide(have State, curve tezos.Curve, req tezos.Request) Decision {
	if have.Mark == nil {
		return refuse(NoMark)
	}
	if have.Ceiling != nil && req.Level > have.Ceiling.Level {
		return refuse(AboveCeiling)
	}
	mark := *have.Mark
	want := Position{req.Level, req.Round}
	switch order := want.Compare(mark.Position); {
	case order > 0 && !have.Limit.Allows(req.Level):
		return refuse(TooFar)
	case order > 0:
		return Decision{Verdict: Advance}
	case order < 0 || !mark.HasDigest:
		return refuse(NotAbove)
	case mark.Digest != req.Digest:
		return refuse(Conflict)
	case !mark.Signature.IsZero():
		return Decision{Verdict: Replay, Mark: mark}
	case have.Fresh || curve.Deterministic():
		return Decision{Verdict: Resume, Mark: mark}
	default:
		return refuse(NotAbove)
	}
}

func refuse(r Reason) Decision { return Decision{Verdict: Refuse, Reason: r} }

// ErrRefused is wrapped by every *Refusal.
var ErrRefused = errors.New("refused by the watermark")

// Refusal is a decision not to sign because of a mark. A Refusal is not a breakage.
type Refusal struct {
	Key     Key
	Have    *Mark // nil: no mark
	Ceiling *Ceiling
	Want    Position
	Reason  Reason
	Limit   Limit  // the known level, for TooFar
	Hint    string // in the place of the reason's own
}

func (r *Refusal) Error() string {
	switch r.Reason {
	case NoMark:
		return fmt.Sprintf("%s has no %s watermark on %s: a key without a mark does not sign", r.Key.PKH, r.Key.Kind,
			r.Key.Chain)
	case AboveCeiling:
		return fmt.Sprintf("%s %s: level %d is above the ceiling %d: the right above the ceiling belongs to the "+
			"peer, or is kept back",
			r.Key.PKH, r.Key.Kind, r.Want.Level, r.Ceiling.Level)
	case Conflict:
		return fmt.Sprintf("%s %s at %s: a request for different bytes came before: "+
			"a second signature would be a double signature",
			r.Key.PKH, r.Key.Kind, r.Want)
	case TooFar:
		return fmt.Sprintf("%s %s: level %d is %s: no mark moves by such a distance at "+
			"once", r.Key.PKH, r.Key.Kind, r.Want.Level, r.Limit.Distance(r.Want.Level))
	case NotAbove:
	}
	if r.Want.Compare(r.Have.Position) == 0 {
		return fmt.Sprintf("%s %s at %s: the watermark is at this place already, "+
			"and no signature is kept", r.Key.PKH, r.Key.Kind, r.Want)
	}
	return fmt.Sprintf("%s %s at %s is not above the watermark (%s)", r.Key.PKH, r.Key.Kind, r.Want, r.Have.Position)
}

// HintText is the advice to the operator; empty when the refusal is the right end of the story.
func (r *Refusal) HintText() string {
	if r.Hint != "" {
		return r.Hint
	}
	switch r.Reason {
	case NoMark:
		return "set a mark above everything that the key ever " +
			"signed: " + hints.Level("highwater hwm set "+r.Key.PKH.String()+" --level", r.Limit.Reached())
	case Conflict:
		return "two bakers with the same key, or a baker that restarted with an old state: " +
			"find the cause before going on"
	case AboveCeiling:
		return "see: highwater hwm list; a ceiling is lifted by the certificate that gives the right back, or " +
			"offline by the operator"
	case TooFar:
		return "find the source of the request: a baker of a foreign chain, or a wrong clock. " +
			fmt.Sprintf("If the chain has the level: highwater hwm set %s --level %d --far", r.Key.PKH, max(0, r.Want.Level-1))
	case NotAbove:
	}
	return ""
}

// Unwrap makes errors.Is(err, ErrRefused) true.
func (r *Refusal) Unwrap() error { return ErrRefused }

// NewRefusal explains a decision to refuse.
func NewRefusal(key Key, have State, req tezos.Request, d Decision) *Refusal {
	return &Refusal{
		Key: key, Have: have.Mark, Ceiling: have.Ceiling, Want: Position{req.Level, req.Round},
		Reason: d.Reason, Limit: have.Limit,
	}
}
