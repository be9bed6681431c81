package verdict

import (
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
)

// Screen is an instance's knowledge, the ground of advice.
type Screen struct {
	Me   hwm.InstanceID
	Mine hwm.RoleRecord
	Disk error // of this instance; nil: the disk works
	Peer *Peer // nil: this instance is alone
	// Reached is the level that the chain may have reached, for advice; 0: nobody can tell.
	Reached int64
}

// Peer is how the peer does.
type Peer struct {
	Reachable bool
	Error     string // of the last question
	Broken    string // the fault of the peer's disk; empty: no fault
}

const (
	// GoesOn is the advice for a handover cut off in the middle.
	GoesOn     = "on either machine: highwater handover; the handover goes on where it was cut off"
	findSigner = "find the second signer of the keys"
	takesOver  = "afterwards, on the machine of your choice: highwater takeover"
	goneOwner  = "if the peer is gone for good: highwater takeover"
)

// OwnerGone is the way out of an epoch after the loss of the owner's state.
const OwnerGone = "if the owner is gone for good: stop the process on either machine, run highwater takeover on the " +
	"second machine, and start the stopped process again"

// DiskHint is the way out for both machines when the disk of the instance id fails. The name of the instance points to
// the process to stop.
func DiskHint(id hwm.InstanceID) string {
	return "on the machine of " + id.Short() + ": systemctl stop highwater, to keep the process from starting again; " +
		"afterwards, on the " +
		"peer's machine: highwater takeover. Start the stopped process when its disk works: the process asks before " +
		"any signature"
}

// Advice tells the obstacle of the moment, and the next steps.
func (s Screen) Advice(v Verdict) (waiting string, next []string) {
	if v.By != s.Me && s.Peer == nil && v.Is == Signs {
		return "", []string{wire.NamePeer}
	}
	if s.Disk != nil {
		return "the disk here fails: " + s.Disk.Error(), s.broken(v)
	}
	if v.By == s.Me {
		waiting, next = s.owner(v)
	} else {
		next = s.notOwner(v)
	}
	if s.Mine.Role == hwm.Fenced && v.Is != FencedOwner && v.Is != Claimed {
		waiting = "this instance is fenced: " + s.Mine.Why
		next = []string{findSigner, "afterwards, to make this instance the backup again: highwater standby"}
	}
	if s.Peer != nil && s.Peer.Broken != "" && v.By == s.Me && waiting == "" {
		waiting = "no backup is ready: the disk of the peer fails: " + s.Peer.Broken
	}
	return waiting, next
}

// broken is for a screen with a failing disk of its own.
func (s Screen) broken(v Verdict) []string {
	hint := hints.Of(s.Disk)
	if s.Peer == nil || v.By != s.Me {
		return []string{hint}
	}
	return []string{DiskHint(s.Me), "or, to sign here again: " + hint}
}

// owner is the advice on the owner's own screen.
func (s Screen) owner(v Verdict) (waits string, next []string) {
	switch v.Is {
	case FencedOwner:
		if s.Peer == nil {
			activate := hints.Level("highwater activate --level", s.Reached)
			return "", []string{findSigner, "afterwards, above every signature: " + activate}
		}
		return "", []string{findSigner, takesOver}
	case StandsBy:
		next = []string{"to sign here: highwater activate"}
		if s.Peer != nil {
			next = append(next, "to sign on the peer's machine: highwater handover, on either machine")
		}
		return "", next
	case Stopped:
		return "", []string{
			"start the daemon on this machine: systemctl start highwater; the daemon asks the peer before any signature",
		}
	case Waits:
		return s.waits()
	case UnderWay:
		return "", []string{GoesOn}
	case Awaited:
		return "", []string{
			"on this machine, with the certificate: highwater accept; or, without the certificate: highwater handover",
		}
	default:
		return "", nil
	}
}

func (s Screen) waits() (string, []string) {
	if s.Peer == nil {
		return "", nil
	}
	text := "this instance was restarted and asks the peer for leave to sign"
	if s.Peer.Error != "" {
		text += "; no answer yet: " + s.Peer.Error
	}
	return text, []string{"start the peer, or the link to the peer", goneOwner}
}

// notOwner is for the screen of the side without the right, or for an epoch without an owner here.
func (s Screen) notOwner(v Verdict) []string {
	switch v.Is {
	case Unheard:
		return []string{
			"compare the keys of the two machines: highwater peer show, on both",
			"on the machine of your choice: highwater activate",
		}
	case NeverActive:
		return []string{"on the machine of your choice: highwater activate"}
	case Stranger:
		return []string{OwnerGone}
	case Claimed:
		return []string{findSigner, "afterwards, with either instance fenced or stopped: highwater takeover, on the " +
			"machine of your choice"}
	case FencedOwner:
		return []string{findSigner, takesOver}
	case BrokenOwner:
		return []string{DiskHint(v.By)}
	case UnderWay:
		return []string{GoesOn}
	case Shares, Awaited:
		return s.share(v)
	case StandsBy:
		return []string{"to sign at the peer: highwater activate, on the peer's machine", "to sign here: highwater handover"}
	case Waits:
		return []string{
			"on the owner's machine: highwater status; the owner signs once this instance has answered",
			goneOwner,
		}
	default:
		return s.backup()
	}
}

// share is for the giver of a release by level, as long as nobody knows whether the certificate was used.
func (s Screen) share(v Verdict) []string {
	if s.Peer == nil || s.Peer.Reachable && v.Is == Shares {
		return nil
	}
	return []string{
		fmt.Sprintf("to sign above level %d on the peer's machine: highwater accept, with the certificate, or "+
			"highwater handover on either machine", v.UpTo),
		fmt.Sprintf("when the certificate is lost, or %d levels past: highwater handover; without a link, with the "+
			"process of one machine stopped: highwater takeover on the second machine", wire.MaxPast),
	}
}

func (s Screen) backup() []string {
	if s.Peer != nil && !s.Peer.Reachable {
		return []string{"bring the link to the peer back: marks follow again", goneOwner}
	}
	return []string{
		"this instance is the backup now, and needs nothing: the devices stay connected, and the peer's marks follow",
		"to sign here again: highwater handover",
	}
}
