package failover

import (
	"context"
	"errors"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// The rules have the numbers of docs/failover-theory.md. Each function here is called between Node.begin and Node.end:
// each is a step of the protocol, and the decision is durable before anybody hears of the decision.

// applyHello takes in the part of a peer's message about the right to sign (rules 1, 7 and 8).
func (n *Node) applyHello(ctx context.Context, peer hwm.Peer, h wire.Hello) error {
	n.stated.end() // the peer was heard, and lives, or did until now
	if err := n.epochs.keep(peer, h); err != nil {
		return err
	}
	mine := n.store.Role()
	if h.Owner == n.Me() { // the right comes to this instance with a certificate, never by hearsay
		// both sign, the peer up to a level
		if h.Epoch > mine.Epoch && mine.Owner == n.Me() && n.signer.Active() && h.Signing {
			return n.yieldToGiver(ctx, mine, h)
		}
		return nil
	}
	switch {
	case h.Epoch > mine.Epoch: // rule 7: newer: somebody else may sign
		return n.yield(ctx, mine, h, fmt.Sprintf("the peer knows epoch %d, owned by %s", h.Epoch, h.Owner.Short()))
	case h.Epoch < mine.Epoch || mine.Owner != n.Me() || mine.Epoch == 0 || mine.Role == hwm.Fenced || h.Owner != h.From:
		return nil
	case n.signer.Active() && (h.Signing || h.Role == hwm.Fenced): // rule 8: somebody's statement was false
		return n.fenceBoth(mine)
	case n.signer.Active():
		return nil // the peer yields on hearing this instance
	// rule 8: the claim that has not resumed yields; if neither has, the lesser key yields
	case h.Signing || n.Me().Less(h.From):
		return n.yield(ctx, mine, h, fmt.Sprintf("yielded epoch %d to the peer, which took over too", h.Epoch))
	}
	return nil
}

// fenceBoth ends signing after both instances signed in one epoch (rule 8). The peer does the same.
func (n *Node) fenceBoth(mine hwm.RoleRecord) error {
	mine.Role, mine.Why = hwm.Fenced, "the peer signed in the same epoch: a false statement led to a takeover"
	_, err := n.signer.Become(givenUp(), mine, nil) // before the alarm, a second write
	n.raiseAlarm(signer.AlarmBothActive,
		fmt.Sprintf("both instances were signing in epoch %d: both are fenced", mine.Epoch),
		"a false statement led to a takeover: look at the chain for the signatures of both, and run highwater "+
			"takeover on either machine")
	return err
}

// yield makes this side stand by in somebody else's epoch. A fence stays a fence until an operator lifts it.
func (n *Node) yield(ctx context.Context, mine hwm.RoleRecord, h wire.Hello, why string) error {
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: h.Epoch, Owner: h.Owner, Why: why}
	if mine.Role == hwm.Fenced {
		next.Role, next.Why = hwm.Fenced, mine.Why
	}
	if mine.Role == hwm.Active {
		n.log.Warn("signing ended by the peer", "epoch", h.Epoch, "owner", h.Owner.Short(), "was_signing", n.signer.Active())
	}
	if n.signer.Active() { // taken over while alive: the peer may be at the same level
		ctx = givenUp()
	}
	_, err := n.signer.Become(ctx, next, nil)
	return err
}

// givenUp is the context of a change of role without a wait: signatures under way never leave.
func givenUp() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// yieldToGiver is for an owner after the peer's takeover. The peer gave the next epoch back by a certificate, and the
// certificate has not arrived: the owner stands by in the epoch before the given epoch. The certificate, or a handover
// in its place, is still good.
func (n *Node) yieldToGiver(ctx context.Context, mine hwm.RoleRecord, h wire.Hello) error {
	given := h.Epoch
	h.Epoch, h.Owner = h.Epoch-1, h.From
	return n.yield(ctx, mine, h,
		fmt.Sprintf("the peer took over, and gave epoch %d back by a certificate; the certificate is still missing", given))
}

// onStatus acts on the peer's status: fence, yield, or resume (rules 5 to 8).
func (n *Node) onStatus(ctx context.Context, a wire.Answer) error {
	ctx = context.WithoutCancel(ctx)
	n.begin()
	defer n.end()
	peer, err := n.check(a.Hello)
	if err != nil {
		return err
	}
	if a.Status != nil {
		if err := n.epochs.plausible(peer, a.Status.Seen); err != nil {
			return err
		}
	}
	q, fresh := n.questions.Spend(a.Nonce, wire.Status)
	if fresh {
		n.spoke(a.Life, q.Drawn, true)
	}
	if err := n.applyHello(ctx, peer, a.Hello); err != nil {
		return err
	}
	if a.Refusal != nil {
		if fresh {
			return errors.Join(n.applySameKey(a.Refusal, q.Epoch), a.Refusal)
		}
		return a.Refusal
	}
	if r := n.sameKey(); r != nil { // either of the two may have answered
		return r
	}
	if !fresh || a.Status == nil { // rule 6: an answer to an earlier life's question gives nobody the right to sign
		return wire.Refuse(wire.OldAnswer, "", "the peer's answer fits no question of this process")
	}
	if err := n.settle(ctx); err != nil {
		return err
	}
	return n.resume(ctx, a)
}

// resume lets a restarted owner sign again, when a fresh answer knows nothing newer (rule 7).
func (n *Node) resume(ctx context.Context, a wire.Answer) error {
	mine := n.store.Role()
	if mine.Role != hwm.Active || mine.Owner != n.Me() || n.signer.Active() {
		return n.endPastCeilings(ctx, mine, a)
	}
	if a.Status.Seen > mine.Epoch {
		return n.oldState(fmt.Sprintf("the peer knew this instance at epoch %d, and the record here says %d",
			a.Status.Seen, mine.Epoch))
	}
	if a.Epoch > mine.Epoch { // owned by this instance, or applyHello would have yielded
		return n.yieldToGiver(ctx, mine, a.Hello)
	}
	if a.Epoch == mine.Epoch && a.Owner != n.Me() { // rule 8: equal, but not agreed
		return wire.Refuse(wire.NotOwner, "", "the peer claims epoch %d too; this instance waits for the peer", a.Epoch)
	}
	if err := n.checkCopied(a.Status.Marks); err != nil {
		return err
	}
	marks, err := n.marks.Believed(a.Status.Marks)
	if err != nil {
		return err
	}
	return n.signer.Resume(n.marks.Floors(marks)) // rule 5
}

// endPastCeilings ends signing up to the ceilings once the new owner is above the ceilings.
func (n *Node) endPastCeilings(ctx context.Context, mine hwm.RoleRecord, a wire.Answer) error {
	if mine.Role != hwm.Active || mine.Owner == n.Me() {
		return nil
	}
	_, level := n.marks.GivenAway()
	for _, m := range a.Status.Marks {
		if m.Level > level+1 && a.Owner == mine.Owner && a.Signing {
			mine.Role, mine.Why = hwm.Standby, fmt.Sprintf("the peer signs, from level %d on", level+1)
			_, err := n.signer.Become(ctx, mine, nil)
			return err
		}
	}
	return nil
}
