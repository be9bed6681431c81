package failover

import (
	"context"
	"fmt"
	"slices"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// evidencePeer looks whether the peer answers: an answering peer can hand over.
func (n *Node) evidencePeer(ctx context.Context, peer hwm.Peer) checklist.Line {
	line := func(result checklist.Result, detail, hint string) checklist.Line {
		return checklist.New(checklist.OtherInstance, result, detail, hint)
	}
	if r := n.sameKey(); r != nil {
		return line(checklist.Bad, r.Text, r.Hint)
	}
	a, err := n.Ask(ctx)
	if err != nil && a.From != peer.Key {
		if r := wire.AsRefusal(err); r.Reason != wire.Unreachable { // a process lives at the address, whatever the answer
			return line(checklist.Bad, r.Text, "stop the process on the peer's machine first; or: "+r.Hint)
		}
		return line(checklist.OK, err.Error(), "")
	}
	mine := n.store.Role()
	switch {
	case n.signsHere():
		return line(checklist.Bad, "this instance signs already", "nothing is left to take over; see: highwater peer show")
	case err != nil && slices.Contains([]string{wire.SameKey, wire.SameKeyBefore}, wire.AsRefusal(err).Reason):
		return line(checklist.Bad, "answers; "+err.Error(), wire.AsRefusal(err).Hint)
	case oldCopy(err) != nil:
		return line(checklist.Bad, "answers; "+err.Error(), oldCopy(err).Hint)
	case a.Broken != "" && !n.harmless(a):
		return line(checklist.Bad, "answers, and signs nothing: the peer's disk fails: "+a.Broken, verdict.DiskHint(peer.Key))
	case a.Signing:
		return line(checklist.Bad, "answers, and signs", "highwater handover")
	case a.Role != hwm.Fenced && (a.Owner == peer.Key || a.Owner == n.Me() && a.Epoch > mine.Epoch &&
		mine.Role != hwm.Active):
		return n.unlessOld(ctx, peer, line(checklist.Bad,
			fmt.Sprintf("answers (%s, epoch %d), and can give the right to sign with proof", a.Role,
				a.Epoch), "highwater handover"))
	case !n.harmless(a):
		return n.unlessOld(ctx, peer, line(checklist.Bad,
			fmt.Sprintf("answers (%s, epoch %d), and may come to sign: a certificate for the peer may be under way, "+
				"or the state here is an old copy",
				a.Role, a.Epoch), "highwater handover, on the peer's machine; or stop the peer's process first"))
	}
	return line(checklist.OK, fmt.Sprintf("answers (%s, epoch %d), does not sign, and cannot hand over", a.Role,
		a.Epoch), "")
}

// harmless tells of a peer that answers whether the peer cannot come to sign by itself: the peer is fenced, or both
// agree that this instance owns the epoch. Else a certificate for the peer may be under way, and take effect after a
// takeover here.
func (n *Node) harmless(a wire.Answer) bool {
	mine := n.store.Role()
	switch {
	case a.Role == hwm.Fenced:
		return true
	case a.Status == nil || a.Owner != n.Me() || mine.Owner != n.Me() || a.Epoch != mine.Epoch ||
		a.Status.Seen > mine.Epoch:
		return false
	}
	return n.checkCopied(a.Status.Marks) == nil
}

// unlessOld asks the peer whether it would give the right away. A peer with an old copy of its state says "old copy",
// and the line gives the way out.
func (n *Node) unlessOld(ctx context.Context, peer hwm.Peer, f checklist.Line) checklist.Line {
	if r := oldCopy(n.wouldRelease(ctx, peer, nil)); r != nil {
		f.Detail, f.Hint = "answers; "+r.Text, r.Hint
	}
	return f
}

// The unit starts a killed process again, and the next boot starts a stopped process again.
const statementHint = "stop the peer's process (on its machine: systemctl disable --now highwater; the unit undoes a " +
	"kill) or unplug its devices, be sure that neither comes back by itself, and state: " +
	"--the-other-instance-cannot-sign"

const unstatedText = "nobody stated that the peer cannot sign"

func stated(r TakeoverRequest) checklist.Line {
	const id = checklist.Statement
	if !r.CannotSign {
		return checklist.New(id, checklist.Waiting, unstatedText, statementHint)
	}
	return checklist.New(id, checklist.OK, "the operator states that the peer cannot sign", "")
}

// evidenceHere shows the role before the takeover, which lifts a fence.
func (n *Node) evidenceHere() checklist.Line {
	mine := n.store.Role()
	f := checklist.New(checklist.ThisInstance, checklist.OK, fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch), "")
	if mine.Role == hwm.Fenced {
		f.Result, f.Detail, f.Hint = checklist.Warning, "fenced: "+mine.Why, "the takeover ends the fence: know the "+
			"reason of the fence"
	}
	return f
}

// evidenceChain looks at the node and at the silence of our keys.
func (n *Node) evidenceChain(ctx context.Context, r *TakeoverRequest) (*chain.Head, *chain.Silence, []checklist.Line) {
	if n.heads.Chain == nil {
		return nil, nil, []checklist.Line{withoutNode(r)}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	node, head := n.heads.Check(ctx)
	if node.Result != checklist.OK {
		return nil, nil, []checklist.Line{node.Passing()}
	}
	s, err := n.heads.Silence(ctx, n.keys.PKHs())
	if err != nil {
		failed := checklist.New(checklist.Silence, checklist.Bad, err.Error(), "see the node's log").Passing()
		return nil, nil, []checklist.Line{node, failed}
	}
	return &head, &s, []checklist.Line{node, silent(s, r.Silence).Passing()}
}

// withoutNode wants the operator to state the head.
func withoutNode(r *TakeoverRequest) checklist.Line {
	const id = checklist.Node
	if r.Head == nil {
		return checklist.New(id, checklist.Bad, "no node is configured: the chain's head is not known",
			wire.StateHead)
	}
	return checklist.New(id, checklist.Warning,
		fmt.Sprintf("none is configured; the operator states that the chain is at level %d", *r.Head), "")
}

// silent is the countdown of silence.
func silent(s chain.Silence, wanted int) checklist.Line {
	f := checklist.New(checklist.Silence, checklist.OK,
		fmt.Sprintf("%d silent levels at which our keys had rights", s.Silent), "")
	if s.Silent < wanted {
		f.Result = checklist.Waiting
		f.Detail = fmt.Sprintf("%d of %d silent levels at which our keys had rights", s.Silent, wanted)
		f.Hint = "wait; or state less: --silence 0"
	}
	if s.LastOwn >= 0 {
		f.Detail += fmt.Sprintf("; last seen at level %d, and the head is at %d", s.LastOwn, s.Head)
	} else {
		f.Detail += fmt.Sprintf("; not seen since level %d, and the head is at %d", s.Since, s.Head)
	}
	return f
}

func seenSilence(s *chain.Silence, wanted int) *SilenceSeen {
	if s == nil {
		return nil
	}
	out := &SilenceSeen{Levels: s.Silent, Wanted: wanted, Since: s.Since, Head: s.Head}
	if s.LastOwn >= 0 {
		out.LastOwn = &s.LastOwn
	}
	return out
}

// evidenceCertificate asks for the certificate of a release by level from here: the certificate could still be used.
func (n *Node) evidenceCertificate(r TakeoverRequest) []checklist.Line {
	keys, level := n.marks.GivenAway()
	if len(keys) == 0 {
		return nil
	}
	const id = checklist.Certificate
	if !r.CertificateDestroyed {
		return []checklist.Line{checklist.New(id, checklist.Waiting,
			fmt.Sprintf("this instance gave the right away from level %d on; any holder of the certificate can still "+
				"use it", level+1),
			"destroy the certificate and its copies (a certificate that went over the link is gone with the peer's "+
				"process), and state: --the-certificate-is-destroyed")}
	}
	return []checklist.Line{checklist.New(id, checklist.OK, "the operator states that the certificate is destroyed", "")}
}
