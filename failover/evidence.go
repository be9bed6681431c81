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
	"highwater/internal/tezos"
)

// evidencePeer looks whether the other instance answers: one that does can hand over.
func (n *Node) evidencePeer(ctx context.Context, peer hwm.Peer) checklist.Line {
	const id = checklist.OtherInstance
	if r := n.sameKey(); r != nil {
		return checklist.New(id, checklist.Bad, r.Text, r.Hint)
	}
	a, err := n.Ask(ctx)
	if err != nil && a.From != peer.Key {
		if r := wire.AsRefusal(err); r.Reason != wire.Unreachable { // something lives there, whatever it says
			return checklist.New(id, checklist.Bad, r.Text, "stop the process there first; or: "+r.Hint)
		}
		return checklist.New(id, checklist.OK, err.Error(), "")
	}
	mine := n.store.Role()
	switch {
	case n.signsHere():
		return checklist.New(id, checklist.Bad, "this instance signs already", "there is nothing to take over; see: highwater peer show")
	case err != nil && slices.Contains([]string{wire.SameKey, wire.SameKeyBefore}, wire.AsRefusal(err).Reason):
		return checklist.New(id, checklist.Bad, "it answers; "+err.Error(), wire.AsRefusal(err).Hint)
	case oldCopy(err) != nil:
		return checklist.New(id, checklist.Bad, "it answers; "+err.Error(), oldCopy(err).Hint)
	case a.Broken != "" && !n.harmless(a):
		return checklist.New(id, checklist.Bad, "it answers, and signs nothing: its disk fails: "+a.Broken, verdict.DiskHint(peer.Key))
	case a.Signing:
		return checklist.New(id, checklist.Bad, "it answers, and it signs", "highwater handover")
	case a.Role != hwm.Fenced && (a.Owner == peer.Key || a.Owner == n.Me() && a.Epoch > mine.Epoch && mine.Role != hwm.Active):
		return n.unlessOld(ctx, peer, checklist.New(id, checklist.Bad, fmt.Sprintf("it answers (%s, epoch %d), and can give the right to sign with proof", a.Role, a.Epoch), "highwater handover"))
	case !n.harmless(a):
		return n.unlessOld(ctx, peer, checklist.New(id, checklist.Bad, fmt.Sprintf("it answers (%s, epoch %d), and may come to sign: a certificate for it may be under way, or the state here is an old copy",
			a.Role, a.Epoch), "highwater handover, on the other machine; or stop its process first"))
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("it answers (%s, epoch %d), does not sign, and cannot hand over", a.Role, a.Epoch), "")
}

// unlessOld asks the other instance whether it would give the right away. One whose state is an old copy says so: then f has no better advice
// than this.
func (n *Node) unlessOld(ctx context.Context, peer hwm.Peer, f checklist.Line) checklist.Line {
	if r := oldCopy(n.wouldRelease(ctx, peer, nil)); r != nil {
		f.Detail, f.Hint = "it answers; "+r.Text, r.Hint
	}
	return f
}

// A process that is killed is started again by its unit, and one that is only stopped by the next boot.
const statementHint = "stop its process (systemctl disable --now highwater, there: a kill is undone by the unit) or unplug its devices, be sure that neither " +
	"comes back by itself, then: --the-other-instance-cannot-sign"

func stated(r TakeoverRequest) checklist.Line {
	const id = checklist.Statement
	if !r.CannotSign {
		return checklist.New(id, checklist.Waiting, "nobody stated that the other instance cannot sign", statementHint)
	}
	return checklist.New(id, checklist.OK, "the operator states that the other instance cannot sign", "")
}

// evidenceHere shows the role from which it starts; a fence is lifted by this.
func (n *Node) evidenceHere() checklist.Line {
	mine := n.store.Role()
	f := checklist.New(checklist.ThisInstance, checklist.OK, fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch), "")
	if mine.Role == hwm.Fenced {
		f.Result, f.Detail, f.Hint = checklist.Warning, "it is fenced: "+mine.Why, "the takeover ends the fence: know why it was there"
	}
	return f
}

// evidenceChain looks at the node and at the silence of our keys.
func (n *Node) evidenceChain(ctx context.Context, r *TakeoverRequest) (*chain.Head, *chain.Silence, []checklist.Line) {
	if n.heads.Chain == nil {
		if r.Head == nil {
			return nil, nil, []checklist.Line{checklist.New(checklist.Node, checklist.Bad, "no node is configured: the chain's head is not known", "set `node` in the configuration, or say it: --head LEVEL")}
		}
		return nil, nil, []checklist.Line{checklist.New(checklist.Node, checklist.Warning, fmt.Sprintf("none is configured; the operator states that the chain is at level %d", *r.Head), "")}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	node, head := n.heads.Check(ctx)
	if node.Result != checklist.OK {
		return nil, nil, []checklist.Line{node.Passing()}
	}
	s, err := n.heads.Silence(ctx, n.pkhs())
	if err != nil {
		return nil, nil, []checklist.Line{node, checklist.New(checklist.Silence, checklist.Bad, err.Error(), "see the node's log").Passing()}
	}
	return &head, &s, []checklist.Line{node, silent(s, r.Silence).Passing()}
}

// silent is the countdown of silence.
func silent(s chain.Silence, wanted int) checklist.Line {
	f := checklist.New(checklist.Silence, checklist.OK, fmt.Sprintf("%d silent levels at which our keys had rights", s.Silent), "")
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

func (n *Node) pkhs() []tezos.PublicKeyHash {
	var out []tezos.PublicKeyHash
	for _, k := range n.signer.Keys() {
		out = append(out, k.PKH)
	}
	return out
}

// evidenceCertificate asks for the certificate that this side gave away by level: it could still be used.
func (n *Node) evidenceCertificate(r TakeoverRequest) []checklist.Line {
	keys, level := n.givenAway()
	if len(keys) == 0 {
		return nil
	}
	const id = checklist.Certificate
	if !r.CertificateDestroyed {
		return []checklist.Line{checklist.New(id, checklist.Waiting, fmt.Sprintf("this instance gave the right away from level %d on; whoever has that certificate can still use it", level+1), "destroy it and its copies (one that went over the link is gone with the process there), then: --the-certificate-is-destroyed")}
	}
	return []checklist.Line{checklist.New(id, checklist.OK, "the operator states that it is destroyed", "")}
}
