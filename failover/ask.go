package failover

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
)

// Ask asks the other instance for its status and does what follows from the answer. The error is a *Refusal when it says no.
func (n *Node) Ask(ctx context.Context) (wire.Answer, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return wire.Answer{}, wire.RefuseNoPeer()
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	start := n.now()
	a, err := n.status(ctx, peer, wire.Question{Activating: n.activating.Load() > 0})
	n.noted(a, start, err)
	return a, err
}

// probe asks who answers, and keeps nothing but what follows from the answer.
func (n *Node) probe(ctx context.Context, peer hwm.Peer) (wire.Answer, error) {
	return n.status(ctx, peer, wire.Question{Probe: true})
}

func (n *Node) status(ctx context.Context, peer hwm.Peer, as wire.Question) (wire.Answer, error) {
	nonce := n.newNonce(wire.Status)
	defer n.forget(nonce)
	q := n.question(peer, nonce)
	q.Activating, q.Probe = as.Activating, as.Probe
	a, err := n.link.Call(ctx, peer, wire.Status, q)
	if err == nil {
		err = n.onStatus(ctx, a)
	}
	return a, err
}

// maxSkew is the difference of clocks that is worth a warning.
const maxSkew = 5 * time.Second

// noted keeps what came of a question, for the status and for what clients are told.
func (n *Node) noted(a wire.Answer, start time.Time, err error) {
	n.mu.Lock()
	first := !n.asked || (err == nil) != (n.lastErr == nil)
	n.asked, n.lastErr = true, err
	if err == nil || a.From != (hwm.InstanceID{}) {
		now := n.now()
		n.said, n.heardAt = &a, now
		n.rtt = now.Sub(start)
		n.skew = a.Now.Sub(start.Add(n.rtt / 2))
	}
	skew := n.skew
	n.mu.Unlock()
	switch {
	case err != nil && first:
		n.log.Warn("the other instance is not heard", "error", err)
	case err == nil && first:
		n.log.Info("the other instance is heard", "role", a.Role.String(), "epoch", a.Epoch, "signing", a.Signing)
		if skew.Abs() > maxSkew {
			n.log.Warn("the clocks of the two instances differ", "skew_ms", skew.Milliseconds())
		}
	}
	n.explain(err)
}

// explain tells clients why an active instance does not sign yet.
func (n *Node) explain(err error) {
	text := "this instance was restarted and asks the other one whether it may still sign"
	if err != nil {
		text += "; no answer so far: " + err.Error()
	}
	n.signer.Explain(text, "when the other instance is gone for good: highwater takeover")
}

func (n *Node) hello() wire.Hello {
	r, broken := n.store.Role(), n.broken()
	return wire.Hello{
		Protocol: wire.Protocol, Chain: n.signer.Chain(), From: n.Me(), Life: n.life, Role: r.Role, Epoch: r.Epoch, Owner: r.Owner,
		Signing: n.signer.Active() && broken == "", Now: n.now().UTC(), Broken: broken,
	}
}

func (n *Node) question(peer hwm.Peer, nonce string) wire.Question {
	if now, ok := n.store.Peer(); ok && now.Key == peer.Key {
		peer = now
	}
	return wire.Question{Hello: n.hello(), To: peer.Key, Nonce: nonce, Seen: peer.Seen}
}

// asked is a question that waits for its answer.
type asked struct {
	verb  string
	drawn wire.Instant
	epoch uint64 // that this side knew
}

// newNonce makes the name of a question. Names die with the process: an answer to an earlier life's question is no answer.
func (n *Node) newNonce(verb string) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	nonce := hex.EncodeToString(b)
	epoch := n.store.Role().Epoch
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nonces[nonce] = asked{verb, n.count.Instant(), epoch}
	return nonce
}

func (n *Node) forget(nonce string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nonces, nonce)
}

// spend tells whether a question of this kind waits for this answer; it waits no longer.
func (n *Node) spend(nonce, verb string) (asked, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q, ok := n.nonces[nonce]
	delete(n.nonces, nonce)
	return q, ok && nonce != "" && q.verb == verb
}

// forgetAll makes every answer under way an old one.
func (n *Node) forgetAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.nonces)
}

// check sees that a message is from the other instance, to this one, and of our chain.
func (n *Node) check(h wire.Hello) (hwm.Peer, error) {
	peer, ok := n.store.Peer()
	switch {
	case !ok:
		return peer, wire.RefuseNoPeer()
	case h.Protocol != wire.Protocol:
		return peer, wire.Refuse(wire.WrongVersion, "run the same version of highwater on both machines",
			"the other instance speaks version %d of the protocol, this one version %d", h.Protocol, wire.Protocol)
	case h.Chain != n.signer.Chain():
		return peer, wire.Refuse(wire.WrongChain, "compare `chain` in the two configurations",
			"the other instance signs for %s, this one for %s", h.Chain, n.signer.Chain())
	case h.From != peer.Key:
		return peer, wire.Refuse(wire.WrongKey, "compare with: highwater peer show, on the other machine",
			"the message is of %s, and the other instance is %s", h.From, peer.Key)
	}
	return peer, n.plausible(peer, h.Epoch)
}

// maxJump is how far an epoch may lie above all that is known here: each handover, activation or takeover is a step of one or two.
const maxJump = 1 << 20

// plausible refuses an epoch that no history leads to. Believed once, it would be the newest for good, and the next ones would come close
// to where no message may say them any more.
func (n *Node) plausible(peer hwm.Peer, epoch uint64) error {
	known := max(n.store.Role().Epoch, peer.Seen)
	if epoch <= known || epoch-known <= maxJump {
		return nil
	}
	return wire.Refuse(wire.FarEpoch, "the state directory of the instance that says so is damaged, or not of this pair: stop it, and make its state anew with highwater init",
		"a message names epoch %d, and the newest that is known here is %d: nobody comes that far, so it is not believed", epoch, known)
}
