package failover

import (
	"context"
	"fmt"
	"slices"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/tezos"
)

// evidencePeer looks whether the other instance answers: one that does can hand over.
func (n *Node) evidencePeer(ctx context.Context, peer hwm.Peer) Finding {
	const name = "other instance"
	if r := n.sameKey(); r != nil {
		return Finding{name, Bad, r.Text, r.Hint}
	}
	a, err := n.Ask(ctx)
	if err != nil && a.From != peer.Key {
		if r := wire.AsRefusal(err); r.Reason != wire.Unreachable { // something lives there, whatever it says
			return Finding{name, Bad, r.Text, "stop the process there first; or: " + r.Hint}
		}
		return Finding{Name: name, Result: OK, Detail: err.Error()}
	}
	mine := n.store.Role()
	switch {
	case n.signsHere():
		return Finding{name, Bad, "this instance signs already", "there is nothing to take over; see: highwater peer show"}
	case err != nil && slices.Contains([]string{wire.SameKey, wire.SameKeyBefore}, wire.AsRefusal(err).Reason):
		return Finding{name, Bad, "it answers; " + err.Error(), wire.AsRefusal(err).Hint}
	case oldCopy(err) != nil:
		return Finding{name, Bad, "it answers; " + err.Error(), oldCopy(err).Hint}
	case a.Broken != "" && !n.harmless(a):
		return Finding{name, Bad, "it answers, and signs nothing: its disk fails: " + a.Broken, diskHint(peer.Key)}
	case a.Signing:
		return Finding{name, Bad, "it answers, and it signs", "highwater handover"}
	case a.Role != hwm.Fenced && (a.Owner == peer.Key || a.Owner == n.Me() && a.Epoch > mine.Epoch && mine.Role != hwm.Active):
		return n.unlessOld(ctx, peer, Finding{
			name, Bad, fmt.Sprintf("it answers (%s, epoch %d), and can give the right to sign with proof", a.Role, a.Epoch), "highwater handover",
		})
	case !n.harmless(a):
		return n.unlessOld(ctx, peer, Finding{
			name, Bad, fmt.Sprintf("it answers (%s, epoch %d), and may come to sign: a certificate for it may be under way, or the state here is an old copy",
				a.Role, a.Epoch), "highwater handover, on the other machine; or stop its process first",
		})
	}
	return Finding{Name: name, Result: OK, Detail: fmt.Sprintf("it answers (%s, epoch %d), does not sign, and cannot hand over", a.Role, a.Epoch)}
}

// unlessOld asks the other instance whether it would give the right away. One whose state is an old copy says so: then f has no better advice
// than this.
func (n *Node) unlessOld(ctx context.Context, peer hwm.Peer, f Finding) Finding {
	if r := oldCopy(n.wouldRelease(ctx, peer, nil)); r != nil {
		f.Detail, f.Hint = "it answers; "+r.Text, r.Hint
	}
	return f
}

// A process that is killed is started again by its unit, and one that is only stopped by the next boot.
const statementHint = "stop its process (systemctl disable --now highwater, there: a kill is undone by the unit) or unplug its devices, be sure that neither " +
	"comes back by itself, then: --the-other-instance-cannot-sign"

func stated(r TakeoverRequest) Finding {
	const name = "statement"
	if !r.CannotSign {
		return Finding{name, Waiting, "nobody stated that the other instance cannot sign", statementHint}
	}
	return Finding{Name: name, Result: OK, Detail: "the operator states that the other instance cannot sign"}
}

// evidenceHere shows the role from which it starts; a fence is lifted by this.
func (n *Node) evidenceHere() Finding {
	mine := n.store.Role()
	f := Finding{Name: "this instance", Result: OK, Detail: fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch)}
	if mine.Role == hwm.Fenced {
		f.Result, f.Detail, f.Hint = Warning, "it is fenced: "+mine.Why, "the takeover ends the fence: know why it was there"
	}
	return f
}

// evidenceChain looks at the node and at the silence of our keys.
func (n *Node) evidenceChain(ctx context.Context, r *TakeoverRequest) (*chain.Head, *chain.Silence, []Finding) {
	if n.chain == nil {
		if r.Head == nil {
			return nil, nil, []Finding{{"node", Bad, "no node is configured, so nobody says where the chain is", "set `node` in the configuration, or say it: --head LEVEL"}}
		}
		return nil, nil, []Finding{{"node", Warning, fmt.Sprintf("none is configured; the operator states that the chain is at level %d", *r.Head), ""}}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	node, head := n.checkNode(ctx)
	if node.Result != OK {
		return nil, nil, []Finding{node}
	}
	s, err := n.chain.Silence(ctx, n.pkhs())
	if err != nil {
		return nil, nil, []Finding{node, {"silence", Bad, err.Error(), "see the node's log"}}
	}
	return &head, &s, []Finding{node, silent(s, r.Silence)}
}

// silent is the countdown of silence.
func silent(s chain.Silence, wanted int) Finding {
	f := Finding{Name: "silence", Result: OK, Detail: fmt.Sprintf("%d silent levels at which our keys had rights", s.Silent)}
	if s.Silent < wanted {
		f.Result = Waiting
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
func (n *Node) evidenceCertificate(r TakeoverRequest) *Finding {
	keys, level := n.givenAway()
	if len(keys) == 0 {
		return nil
	}
	const name = "certificate"
	if !r.CertificateDestroyed {
		return &Finding{
			name, Waiting, fmt.Sprintf("this instance gave the right away from level %d on; whoever has that certificate can still use it", level+1),
			"destroy it and its copies (one that went over the link is gone with the process there), then: --the-certificate-is-destroyed",
		}
	}
	return &Finding{Name: name, Result: OK, Detail: "the operator states that it is destroyed"}
}
