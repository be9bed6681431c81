package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/failover/keys"
	"highwater/failover/marks"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/words"
)

// plan checks the needs of a handover to this instance, and changes nothing.
func (n *Node) plan(ctx context.Context, peer hwm.Peer, r HandoverRequest) []checklist.Line {
	if broken := n.diskHere(); broken != nil {
		return broken
	}
	a, err := n.Ask(ctx)
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.OtherInstance, orTakeover(err))}
	}
	out := []checklist.Line{n.planPeer(peer, a)}
	usable := n.keys.NoteSpares(keys.Usable(checklist.Keys, a.Status.Keys, a.Status.Marks, n.keys.Lack, "here"))
	if r.invited {
		usable = keys.Usable(checklist.Keys, a.Status.Keys, a.Status.Marks, n.keys.LackInvited, "there")
	}
	out = append(out, n.planHere(), planClock(n.heard.State().Skew), usable, planMarks(n.marks, a.Status.Marks))
	out = append(out, n.marks.Operators()...)
	if n.heads.Chain != nil {
		node, _ := n.heads.Check(ctx)
		out = append(out, node)
	}
	return append(out, n.planThere(ctx, peer, r))
}

// orTakeover adds the way out to the refusal of a silent peer: the peer may be silent for good.
func orTakeover(err error) error {
	r := wire.AsRefusal(err)
	if r.Reason != wire.Unreachable {
		return err
	}
	return wire.Refuse(r.Reason, r.Hint+" When the peer's machine is dead, a handover is not possible: be sure that "+
		"the peer's process does not start again; afterwards, here: highwater takeover", "%s", r.Text)
}

// planPeer shows the peer. When the peer has given the right away already, a handover was cut off, and goes on here.
func (n *Node) planPeer(peer hwm.Peer, a wire.Answer) checklist.Line {
	f := checklist.New(checklist.OtherInstance, checklist.OK,
		fmt.Sprintf("%s at %s, %s, epoch %d", peer.Key.Short(), peer.Address, a.Role, a.Epoch), "")
	if a.Owner == n.Me() && a.Epoch > n.store.Role().Epoch {
		f.Detail += ": the peer gave the right to this instance; a handover that was cut off goes on"
	}
	return f
}

func (n *Node) planHere() checklist.Line {
	mine := n.store.Role()
	if mine.Role == hwm.Fenced {
		return checklist.New(checklist.ThisInstance, checklist.Bad, "fenced: "+mine.Why,
			"find the second signer of the keys; afterwards: highwater standby")
	}
	return checklist.New(checklist.ThisInstance, checklist.OK, fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch), "")
}

func planClock(skew time.Duration) checklist.Line {
	detail := fmt.Sprintf("they differ by %s", skew.Abs().Round(time.Millisecond))
	if skew.Abs() > maxSkew {
		return checklist.New(checklist.Clocks, checklist.Warning, detail,
			"nothing here depends on the clocks, but your baker does: timedatectl")
	}
	return checklist.New(checklist.Clocks, checklist.OK, detail, "")
}

// planMarks tells how far the marks here are behind; the certificate brings the rest in any case.
func planMarks(here marks.Here, theirs []wire.Mark) checklist.Line {
	const id = checklist.Marks
	for _, mark := range theirs { // the certificate would be refused, with nobody signing
		if err := here.TooFar(mark); err != nil {
			return checklist.New(id, checklist.Bad, "the peer's: "+err.Error(),
				"look at the marks on the peer's machine: highwater hwm list, and highwater status")
		}
	}
	behind, missing, err := here.Behind(theirs)
	switch {
	case err != nil:
		return checklist.Failed(id, err)
	case missing > 0:
		return checklist.New(id, checklist.Warning,
			fmt.Sprintf("%d are missing here; the handover brings all marks", missing), "")
	case behind > 2:
		return checklist.New(id, checklist.Warning,
			fmt.Sprintf("the marks here are %s behind; the handover brings all marks", words.Count(behind, "level")), "")
	}
	return checklist.New(id, checklist.OK, "the marks follow the peer's", "")
}

// planThere asks the peer whether it would release. The peer says no as long as the process before this process may
// still run, as far as the peer can tell: the refusal passes soon after a start, and is waited for.
func (n *Node) planThere(ctx context.Context, peer hwm.Peer, r HandoverRequest) checklist.Line {
	err := n.wouldRelease(ctx, peer, r.At)
	for try := 0; err != nil && wire.AsRefusal(err).Reason == wire.OtherLife && try < 2*quiet; try++ {
		select {
		case <-time.After(n.every):
			err = n.wouldRelease(ctx, peer, r.At)
		case <-ctx.Done():
			return checklist.Failed(checklist.Release, err)
		}
	}
	if err != nil {
		return checklist.Failed(checklist.Release, err)
	}
	return checklist.New(checklist.Release, checklist.OK, "the peer would give the right to sign", "")
}
