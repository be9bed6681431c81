package failover

import (
	"context"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
)

// Ask asks the peer for its status, and acts on the answer. The error is a *Refusal when the peer says no.
func (n *Node) Ask(ctx context.Context) (wire.Answer, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return wire.Answer{}, wire.RefuseNoPeer()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	start := n.now()
	a, err := n.askStatus(ctx, peer, wire.Question{Activating: n.activating.Load() > 0})
	n.noteAnswer(a, start, err)
	return a, err
}

// probe asks for the name of the answering process. The answer is acted on, and is not kept.
func (n *Node) probe(ctx context.Context, peer hwm.Peer) (wire.Answer, error) {
	return n.askStatus(ctx, peer, wire.Question{Probe: true})
}

func (n *Node) askStatus(ctx context.Context, peer hwm.Peer, as wire.Question) (wire.Answer, error) {
	nonce := n.newNonce(wire.Status)
	defer n.questions.Drop(nonce)
	q := n.question(peer, nonce)
	q.Activating, q.Probe = as.Activating, as.Probe
	a, err := n.link.Call(ctx, peer, wire.Status, q)
	if err == nil {
		err = n.onStatus(ctx, a)
	}
	return a, err
}

// maxSkew is the smallest difference of clocks worth a warning.
const maxSkew = 5 * time.Second

// noteAnswer keeps the result of a question, for the status and for the refusals to clients.
func (n *Node) noteAnswer(a wire.Answer, start time.Time, err error) {
	news := n.heard.Note(a, start, n.now(), err)
	switch {
	case err != nil && news:
		n.log.Warn("the peer is not heard", "error", err)
	case err == nil && news:
		n.log.Info("the peer is heard", "role", a.Role.String(), "epoch", a.Epoch, "signing", a.Signing)
		if skew := n.heard.State().Skew; skew.Abs() > maxSkew {
			n.log.Warn("the clocks of the two instances differ", "skew_ms", skew.Milliseconds())
		}
	}
	n.explain(err)
}

// explain tells clients why an active instance does not sign yet.
func (n *Node) explain(err error) {
	text := "this instance was restarted and asks the peer for leave to sign"
	if err != nil {
		text += "; no answer yet: " + err.Error()
	}
	n.signer.Explain(text, "when the peer is gone for good: highwater takeover")
}

func (n *Node) hello() wire.Hello {
	r, broken := n.store.Role(), n.broken()
	return wire.Hello{
		Protocol: wire.Protocol, Chain: n.signer.Chain(), From: n.Me(), Life: n.life, Role: r.Role, Epoch: r.Epoch,
		Owner:   r.Owner,
		Signing: n.signer.Active() && broken == "", Now: n.now().UTC(), Broken: broken,
	}
}

func (n *Node) question(peer hwm.Peer, nonce string) wire.Question {
	if now, ok := n.store.Peer(); ok && now.Key == peer.Key {
		peer = now
	}
	return wire.Question{Hello: n.hello(), To: peer.Key, Nonce: nonce, Seen: peer.Seen}
}

// newNonce names a question, and keeps the epoch in which this side asks.
func (n *Node) newNonce(verb string) string { return n.questions.Draw(verb, n.store.Role().Epoch) }

// check wants a message to be from the peer, to this instance, and of our chain.
func (n *Node) check(h wire.Hello) (hwm.Peer, error) {
	peer, ok := n.store.Peer()
	switch {
	case !ok:
		return peer, wire.RefuseNoPeer()
	case h.Protocol != wire.Protocol:
		return peer, wire.Refuse(wire.WrongVersion, "run the same version of highwater on both machines",
			"the peer speaks version %d of the protocol, and version %d is spoken here", h.Protocol, wire.Protocol)
	case h.Chain != n.signer.Chain():
		return peer, wire.Refuse(wire.WrongChain, "compare `chain` in the two configurations",
			"the peer signs for %s, this instance for %s", h.Chain, n.signer.Chain())
	case h.From != peer.Key:
		return peer, wire.Refuse(wire.WrongKey, "compare with: highwater peer show, on the peer's machine",
			"the message is of %s, and the peer is %s", h.From, peer.Key)
	}
	return peer, n.epochs.plausible(peer, h.Epoch)
}
