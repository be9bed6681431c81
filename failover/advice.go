package failover

import (
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
)

// verdict is this screen's: what it knows of both sides, put to whoMaySign.
func (n *Node) verdict(v View) verdict {
	mine := n.store.Role()
	here := party{
		id: n.Me(), heard: true, role: mine.Role, epoch: mine.Epoch, owner: mine.Owner, signing: n.signer.Active(), broken: n.broken() != "",
		stopped: n.offline,
	}
	if keys, level := n.givenAway(); len(keys) > 0 { // a key without a ceiling signs nothing for another owner
		here.upTo = &level
	}
	p := v.Peer
	if p == nil {
		return alone(here)
	}
	there := party{id: p.Key}
	// What was heard before this side changed its role says nothing of what the other side knows by now.
	if p.HeardAt != nil && (p.HeardAt.After(mine.Since) || p.Epoch >= mine.Epoch) {
		there = party{
			id: p.Key, heard: true, role: p.role, epoch: p.Epoch, owner: p.Owner, signing: p.Signing, broken: p.Broken != "", upTo: p.gives,
		}
	}
	return whoMaySign(here, there)
}

// alone is the verdict of an instance that has no other one. One that was half of a pair may know another owner.
func alone(here party) verdict {
	switch {
	case here.epoch == 0:
		return verdict{is: neverActive}
	case here.owner == here.id:
		return verdict{is: here.standing(), by: here.id, epoch: here.epoch}
	}
	return given(verdict{by: here.owner, epoch: here.epoch}, here, party{id: here.owner})
}

const (
	// goesOn is for a handover that was cut off.
	goesOn     = "on either machine: highwater handover; it goes on where it was cut off"
	findSigner = "find out who signed with these keys"
	takesOver  = "then, on the machine that should sign: highwater takeover"
	goneOwner  = "if the other instance is gone for good: highwater takeover"
)

// advice is what is waited for, and what to do.
func (n *Node) advice(v verdict, p *PeerView) (waiting string, next []string) {
	if v.by != n.Me() && p == nil && v.is == signs {
		return "", []string{"name the other instance: highwater peer add ADDRESS KEY"}
	}
	if err := n.store.Healthy(); err != nil {
		return "its disk fails: " + err.Error(), n.brokenAdvice(v, err)
	}
	if v.by == n.Me() {
		waiting, next = n.ownerAdvice(v, p)
	} else {
		next = n.otherAdvice(v, p)
	}
	if mine := n.store.Role(); mine.Role == hwm.Fenced && v.is != fencedOwner && v.is != claimed {
		waiting = "this instance is fenced: " + mine.Why
		next = []string{findSigner, "then, to make it the backup again: highwater standby"}
	}
	if p != nil && p.Broken != "" && v.by == n.Me() && waiting == "" {
		waiting = "there is no backup: the disk of the other instance fails: " + p.Broken
	}
	return waiting, next
}

// brokenAdvice is for a screen whose own disk fails.
func (n *Node) brokenAdvice(v verdict, err error) []string {
	hint := hints.Of(err)
	if _, paired := n.store.Peer(); !paired || v.by != n.Me() {
		return []string{hint}
	}
	return []string{diskHint(n.Me()), "or, to sign here again: " + hint}
}

// ownerAdvice is for the screen of the owner.
func (n *Node) ownerAdvice(v verdict, p *PeerView) (waits string, next []string) {
	switch v.is {
	case fencedOwner:
		if p == nil {
			return "", []string{findSigner, "then, above all that was signed: highwater activate --level LEVEL"}
		}
		return "", []string{findSigner, takesOver}
	case standsBy:
		next = []string{"to sign here: highwater activate"}
		if p != nil {
			next = append(next, "to sign there: highwater handover, on either machine")
		}
		return "", next
	case stopped:
		return "", []string{"start the daemon on this machine: systemctl start highwater; it asks the other instance before it signs"}
	case waiting:
		return n.waitAdvice(p)
	case underWay:
		return "", []string{goesOn}
	case awaited:
		return "", []string{"on this machine, with the certificate: highwater accept; or, without it: highwater handover"}
	default:
		return "", nil
	}
}

func (n *Node) waitAdvice(p *PeerView) (string, []string) {
	if p == nil {
		return "", nil
	}
	text := "it was restarted and asks the other instance whether it may still sign"
	if p.Error != "" {
		text += "; no answer so far: " + p.Error
	}
	return text, []string{"start the other instance, or the link to it", goneOwner}
}

// otherAdvice is for the screen of the other side, or for an epoch without an owner here.
func (n *Node) otherAdvice(v verdict, p *PeerView) []string {
	switch v.is {
	case unheard:
		return []string{
			"see that each machine knows the other one: highwater peer show, on both", "on the machine that should sign: highwater activate",
		}
	case neverActive:
		return []string{"on the machine that should sign: highwater activate"}
	case stranger:
		return []string{ownerGone}
	case claimed:
		return []string{findSigner, "then, on the machine that should sign, the other being fenced or stopped: highwater takeover"}
	case fencedOwner:
		return []string{findSigner, takesOver}
	case brokenOwner:
		return []string{diskHint(v.by)}
	case underWay:
		return []string{goesOn}
	case shares, awaited:
		return n.shareAdvice(v, p)
	case standsBy:
		return []string{"to sign there: highwater activate, there", "to sign here: highwater handover"}
	case waiting:
		return []string{"see on its machine: highwater status; it signs once it has this instance's answer", goneOwner}
	default:
		return backupAdvice(p)
	}
}

// shareAdvice is for the giver of a release by level, as long as nobody knows whether the certificate was used.
func (n *Node) shareAdvice(v verdict, p *PeerView) []string {
	if p == nil || p.Reachable && v.is == shares {
		return nil
	}
	return []string{
		fmt.Sprintf("to sign above level %d there: highwater accept, with the certificate, or highwater handover on either machine", v.upTo),
		fmt.Sprintf("when it is lost, or %d levels past: highwater handover; without a link, one process stopped: highwater takeover on the other", wire.MaxPast),
	}
}

func backupAdvice(p *PeerView) []string {
	if p != nil && !p.Reachable {
		return []string{"bring the link to the other instance back, so that marks follow", goneOwner}
	}
	return []string{
		"it is the backup now, and needs nothing: its devices stay connected, its marks follow", "to sign here again: highwater handover",
	}
}
