package failover

import (
	"fmt"

	"highwater/hwm"
)

// party is one of the two instances, as a screen knows it.
type party struct {
	id      hwm.InstanceID
	heard   bool // false: nothing is known of it
	role    hwm.Role
	epoch   uint64
	owner   hwm.InstanceID
	signing bool
	upTo    *int32 // in another owner's epoch: the level up to which it signs, when that is known
	broken  bool   // its disk fails
	stopped bool   // its daemon does not run
}

func (p party) owns() bool { return p.epoch > 0 && p.owner == p.id }

// standing is what the answer to "who may sign?" can be.
type standing string

const (
	unheard     standing = "unheard"      // this side was never active, and the other one was not heard
	neverActive standing = "never active" // neither
	signs       standing = "signs"        // by does, or nothing better is known than that by owns the right
	shares      standing = "shares"       // the other one signs up to a level, by above it
	awaited     standing = "awaited"      // the other one signs up to a level; above it by, once it has the certificate
	underWay    standing = "not arrived"  // the right was given to by, which does not have it
	claimed     standing = "claimed"      // both claim one epoch, and neither signs
	stranger    standing = "stranger"     // the owner is neither of the two
	fencedOwner standing = "fenced"       // by owns the right, and is fenced
	brokenOwner standing = "broken"       // … its disk fails
	standsBy    standing = "stands by"    // … it stands by
	waiting     standing = "waits"        // … it was restarted, and has not asked yet
	stopped     standing = "stopped"      // … its daemon does not run
)

// verdict is who may sign. Each screen makes one of what it knows of both sides, by the same function, whichever side it is of: two
// instances that have heard each other say the same.
type verdict struct {
	is    standing
	by    hwm.InstanceID
	epoch uint64
	upTo  int32 // of shares and awaited
}

// whoMaySign does not care which of the two is this one.
func whoMaySign(x, y party) verdict {
	if v, ok := twoClaims(x, y); ok {
		return v
	}
	newer, older := x, y
	if y.heard && (!x.heard || y.epoch > x.epoch) {
		newer, older = y, x
	}
	v := verdict{by: newer.owner, epoch: newer.epoch}
	switch {
	case newer.epoch == 0 && !older.heard:
		v.is, v.by = unheard, hwm.InstanceID{}
	case newer.epoch == 0:
		v.is, v.by = neverActive, hwm.InstanceID{}
	case newer.owner == newer.id:
		v.is = newer.standing()
		if older.heard && older.epoch == newer.epoch && older.goesUpTo(newer.id) {
			v.is, v.upTo = shares, *older.upTo
		}
	case newer.owner != older.id:
		v.is = stranger
	default:
		v = given(v, newer, older)
	}
	return v
}

// twoClaims is for one epoch that each of the two calls its own. The one that signs has it; of two that do not, nobody.
func twoClaims(x, y party) (verdict, bool) {
	if !x.heard || !y.heard || !x.owns() || !y.owns() || x.epoch != y.epoch {
		return verdict{}, false
	}
	switch {
	case x.signing && !y.signing:
		return verdict{is: signs, by: x.id, epoch: x.epoch}, true
	case y.signing && !x.signing:
		return verdict{is: signs, by: y.id, epoch: y.epoch}, true
	}
	return verdict{is: claimed, epoch: x.epoch}, true
}

// given is for what giver says of the owner's epoch.
func given(v verdict, giver, owner party) verdict {
	below, arrived := giver.goesUpTo(owner.id), owner.epoch == giver.epoch && owner.owns()
	if below {
		v.upTo = *giver.upTo
	}
	switch {
	case below && (arrived || !owner.heard):
		v.is = shares
	case below:
		v.is = awaited
	case arrived:
		v.is = owner.standing()
	case owner.heard:
		v.is = underWay
	default:
		v.is = signs
	}
	return v
}

func (p party) goesUpTo(owner hwm.InstanceID) bool {
	return p.role == hwm.Active && p.owner == owner && p.id != owner && p.upTo != nil
}

// standing is that of an owner.
func (p party) standing() standing {
	switch {
	case p.broken:
		return brokenOwner
	case p.role == hwm.Fenced:
		return fencedOwner
	case p.role == hwm.Standby:
		return standsBy
	case p.signing:
		return signs
	case p.stopped:
		return stopped
	}
	return waiting
}

// say is a verdict in one sentence, for the screen of an instance.
func (v verdict) say(me, other hwm.InstanceID) string {
	by, rest := name(v.by, me), name(other, me)
	if v.by != me {
		rest = "this instance"
	}
	switch v.is {
	case unheard:
		return "not known here: this instance was never active, and the other one was not heard"
	case neverActive:
		return "nobody: this instance was never active"
	case shares, awaited:
		return v.sayShare(me, by, rest)
	case underWay:
		return fmt.Sprintf("nobody: the right was given to %s, and has not arrived there", by)
	case claimed:
		return fmt.Sprintf("nobody: both instances claim epoch %d", v.epoch)
	case stranger:
		return fmt.Sprintf("nobody here: epoch %d is owned by neither of the two, but by %s", v.epoch, v.by.Short())
	case fencedOwner:
		return fmt.Sprintf("nobody: %s owns the right, and is fenced", by)
	case brokenOwner:
		return fmt.Sprintf("nobody: %s owns the right, and its disk fails", by)
	case standsBy:
		return fmt.Sprintf("nobody: %s owns the right, and stands by", by)
	case waiting:
		return fmt.Sprintf("nobody now: %s owns the right, and waits", by)
	case stopped:
		return fmt.Sprintf("nobody now: %s owns the right, and its daemon does not run", by)
	case signs:
	}
	return by
}

func (v verdict) sayShare(me hwm.InstanceID, by, rest string) string {
	above := fmt.Sprintf("from level %d on %s", v.upTo+1, by)
	if v.is == awaited && v.by == me {
		above += ", with the certificate"
	}
	if v.is == shares && v.by == me {
		return fmt.Sprintf("this instance, from level %d on; up to level %d %s", v.upTo+1, v.upTo, rest)
	}
	return fmt.Sprintf("%s, up to level %d; %s", rest, v.upTo, above)
}

func name(id, me hwm.InstanceID) string {
	if id == me {
		return "this instance"
	}
	return "the other instance, " + id.Short()
}
