package verdict

import (
	"fmt"

	"highwater/hwm"
)

// Say is the verdict in one sentence, for the screen of the instance me.
func (v Verdict) Say(me, peer hwm.InstanceID) string {
	by, rest := name(v.By, me), name(peer, me)
	if v.By != me {
		rest = "this instance"
	}
	switch v.Is {
	case Unheard:
		return "not known here: this instance was never active, and the peer was not heard"
	case NeverActive:
		return "nobody: this instance was never active"
	case Shares, Awaited:
		return v.sayShare(me, by, rest)
	case UnderWay:
		return fmt.Sprintf("nobody: the right was given to %s, and has not arrived", by)
	case Claimed:
		return fmt.Sprintf("nobody: both instances claim epoch %d", v.Epoch)
	case Stranger:
		return fmt.Sprintf("nobody here: epoch %d is owned by neither of the two, but by %s", v.Epoch, v.By.Short())
	case FencedOwner:
		return fmt.Sprintf("nobody: %s owns the right, and is fenced", by)
	case BrokenOwner:
		return fmt.Sprintf("nobody: %s owns the right, and the disk of the owner fails", by)
	case StandsBy:
		return fmt.Sprintf("nobody: %s owns the right, and stands by", by)
	case Waits:
		return fmt.Sprintf("nobody now: %s owns the right, and waits", by)
	case Stopped:
		return fmt.Sprintf("nobody now: %s owns the right, and the daemon of the owner does not run", by)
	case Signs:
	}
	return by
}

func (v Verdict) sayShare(me hwm.InstanceID, by, rest string) string {
	above := fmt.Sprintf("from level %d on %s", v.UpTo+1, by)
	if v.Is == Awaited && v.By == me {
		above += ", with the certificate"
	}
	if v.Is == Shares && v.By == me {
		return fmt.Sprintf("this instance, from level %d on; up to level %d %s", v.UpTo+1, v.UpTo, rest)
	}
	return fmt.Sprintf("%s, up to level %d; %s", rest, v.UpTo, above)
}

func name(id, me hwm.InstanceID) string {
	if id == me {
		return "this instance"
	}
	return "the peer, " + id.Short()
}
