// Package verdict names the instance with the right to sign, and an operator's next steps. Each instance makes the
// verdict from its knowledge of both instances by the same function: two instances with the same knowledge give the
// same verdict.
package verdict

import (
	"highwater/hwm"
)

// Party is one of the two instances, as a screen knows the instance.
type Party struct {
	ID      hwm.InstanceID
	Heard   bool // false: nothing is known of the instance
	Role    hwm.Role
	Epoch   uint64
	Owner   hwm.InstanceID
	Signing bool
	UpTo    *int32 // in another owner's epoch: the instance signs up to this level; nil: not known
	Broken  bool   // the disk of the instance fails
	Stopped bool   // the daemon of the instance does not run
}

func (p Party) owns() bool { return p.Epoch > 0 && p.Owner == p.ID }

// Standing is the kind of an answer to the question of the right to sign.
type Standing string

// The standings. By and UpTo are fields of Verdict.
const (
	Unheard     Standing = "unheard"      // this side was never active, and the peer was not heard
	NeverActive Standing = "never active" // neither side was
	Signs       Standing = "signs"        // By signs, or is the owner and nothing better is known
	Shares      Standing = "shares"       // the peer of By signs up to UpTo, and By above UpTo
	Awaited     Standing = "awaited"      // the same, once the certificate has come to By
	UnderWay    Standing = "not arrived"  // the right was given to By, and has not arrived
	Claimed     Standing = "claimed"      // both claim the epoch, and neither signs
	Stranger    Standing = "stranger"     // the owner is neither of the two
	FencedOwner Standing = "fenced"       // By is the owner, and is fenced
	BrokenOwner Standing = "broken"       // By is the owner, and its disk fails
	StandsBy    Standing = "stands by"    // By is the owner, and stands by
	Waits       Standing = "waits"        // By is the owner, was restarted, and has not asked yet
	Stopped     Standing = "stopped"      // By is the owner, and its daemon does not run
)

// Verdict names the instance that may sign.
type Verdict struct {
	Is    Standing
	By    hwm.InstanceID
	Epoch uint64
	UpTo  int32 // of Shares and Awaited
}

// Of makes the verdict. The order of the two does not matter.
func Of(x, y Party) Verdict {
	if v, ok := twoClaims(x, y); ok {
		return v
	}
	newer, older := x, y
	if y.Heard && (!x.Heard || y.Epoch > x.Epoch) {
		newer, older = y, x
	}
	v := Verdict{By: newer.Owner, Epoch: newer.Epoch}
	switch {
	case newer.Epoch == 0 && !older.Heard:
		v.Is, v.By = Unheard, hwm.InstanceID{}
	case newer.Epoch == 0:
		v.Is, v.By = NeverActive, hwm.InstanceID{}
	case newer.Owner == newer.ID:
		v.Is = newer.standing()
		if older.Heard && older.Epoch == newer.Epoch && older.goesUpTo(newer.ID) {
			v.Is, v.UpTo = Shares, *older.UpTo
		}
	case newer.Owner != older.ID:
		v.Is = Stranger
	default:
		v = given(v, newer, older)
	}
	return v
}

// Alone is the verdict of an instance without a peer. A former half of a pair may know another owner.
func Alone(here Party) Verdict {
	switch {
	case here.Epoch == 0:
		return Verdict{Is: NeverActive}
	case here.Owner == here.ID:
		return Verdict{Is: here.standing(), By: here.ID, Epoch: here.Epoch}
	}
	return given(Verdict{By: here.Owner, Epoch: here.Epoch}, here, Party{ID: here.Owner})
}

// twoClaims is for an epoch with two claims. The signing instance has the epoch; while neither signs, nobody has the
// epoch.
func twoClaims(x, y Party) (Verdict, bool) {
	if !x.Heard || !y.Heard || !x.owns() || !y.owns() || x.Epoch != y.Epoch {
		return Verdict{}, false
	}
	switch {
	case x.Signing && !y.Signing:
		return Verdict{Is: Signs, By: x.ID, Epoch: x.Epoch}, true
	case y.Signing && !x.Signing:
		return Verdict{Is: Signs, By: y.ID, Epoch: y.Epoch}, true
	}
	return Verdict{Is: Claimed, Epoch: x.Epoch}, true
}

// given is the verdict from the giver's word on the owner's epoch.
func given(v Verdict, giver, owner Party) Verdict {
	below, arrived := giver.goesUpTo(owner.ID), owner.Epoch == giver.Epoch && owner.owns()
	if below {
		v.UpTo = *giver.UpTo
	}
	switch {
	case below && (arrived || !owner.Heard):
		v.Is = Shares
	case below:
		v.Is = Awaited
	case arrived:
		v.Is = owner.standing()
	case owner.Heard:
		v.Is = UnderWay
	default:
		v.Is = Signs
	}
	return v
}

func (p Party) goesUpTo(owner hwm.InstanceID) bool {
	return p.Role == hwm.Active && p.Owner == owner && p.ID != owner && p.UpTo != nil
}

// standing is the standing of an owner.
func (p Party) standing() Standing {
	switch {
	case p.Broken:
		return BrokenOwner
	case p.Role == hwm.Fenced:
		return FencedOwner
	case p.Role == hwm.Standby:
		return StandsBy
	case p.Signing:
		return Signs
	case p.Stopped:
		return Stopped
	}
	return Waits
}
