package failover

import (
	"context"
	"errors"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// The rules, as docs/failover-theory.md numbers them. Each function here is called between Node.begin and Node.end: it is one step of the protocol, and
// what it decides is durable before anybody hears of it.

// heard takes in what a message of the other side says of the right to sign (rules 1, 7 and 8).
func (n *Node) heard(ctx context.Context, peer hwm.Peer, h wire.Hello) error {
	n.unstate()
	if err := n.seen(peer, h); err != nil {
		return err
	}
	mine := n.store.Role()
	if h.Owner == n.Me() { // what this instance was given comes with a certificate, never by hearsay
		if h.Epoch > mine.Epoch && mine.Owner == n.Me() && n.signer.Active() && h.Signing { // up to a level, and so does this one
			return n.superseded(ctx, mine, h)
		}
		return nil
	}
	switch {
	case h.Epoch > mine.Epoch: // rule 7: newer, so somebody else may sign
		return n.yield(ctx, mine, h, fmt.Sprintf("the other instance knows epoch %d, owned by %s", h.Epoch, h.Owner.Short()))
	case h.Epoch < mine.Epoch || mine.Owner != n.Me() || mine.Epoch == 0 || mine.Role == hwm.Fenced || h.Owner != h.From:
		return nil
	case n.signer.Active() && (h.Signing || h.Role == hwm.Fenced): // rule 8: somebody's statement was false
		mine.Role, mine.Why = hwm.Fenced, "the other instance signed in the same epoch: a takeover was stated that was not true"
		_, err := n.signer.Become(givenUp(), mine, nil) // before the alarm, which is a write of its own
		n.raiseAlarm(signer.AlarmBothActive, fmt.Sprintf("both instances were signing in epoch %d: both are fenced", mine.Epoch),
			"a takeover was stated that was not true: look at the chain for what both signed, then on one of them: highwater takeover")
		return err
	case n.signer.Active():
		return nil // the other side yields when it hears this one
	case h.Signing || n.Me().Less(h.From): // rule 8: of two claims, the one that has not resumed; of two such, the lesser key
		return n.yield(ctx, mine, h, fmt.Sprintf("yielded epoch %d to the other instance, which took over too", h.Epoch))
	}
	return nil
}

// yield makes this side stand by in somebody else's epoch. A fence stays one until an operator lifts it.
func (n *Node) yield(ctx context.Context, mine hwm.RoleRecord, h wire.Hello, why string) error {
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: h.Epoch, Owner: h.Owner, Why: why}
	if mine.Role == hwm.Fenced {
		next.Role, next.Why = hwm.Fenced, mine.Why
	}
	if mine.Role == hwm.Active {
		n.log.Warn("signing ended by the other instance", "epoch", h.Epoch, "owner", h.Owner.Short(), "was_signing", n.signer.Active())
	}
	if n.signer.Active() { // it was taken over while it lives: the other one may be at the same level
		ctx = givenUp()
	}
	_, err := n.signer.Become(ctx, next, nil)
	return err
}

// givenUp is the context of a change of role that waits for nothing: signatures under way never leave.
func givenUp() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// superseded is an owner whose epoch was taken over by the other side, which gave the next one back by a certificate that has not
// arrived: it stands by in the epoch before that one, so that the certificate, or a handover in its place, is still good.
func (n *Node) superseded(ctx context.Context, mine hwm.RoleRecord, h wire.Hello) error {
	given := h.Epoch
	h.Epoch, h.Owner = h.Epoch-1, h.From
	return n.yield(ctx, mine, h, fmt.Sprintf("the other instance took over, and gave epoch %d to this one by a certificate that has not come", given))
}

// seen keeps the newest epoch that the other side was heard with, so that an old copy of its state is recognised.
func (n *Node) seen(peer hwm.Peer, h wire.Hello) error {
	switch {
	case h.Epoch > peer.Seen:
		peer.Seen = h.Epoch
		return n.store.SetPeer(&peer)
	case h.Epoch < peer.Seen:
		n.log.Warn("the other instance said more before", "seen", peer.Seen, "says", h.Epoch)
	}
	return nil
}

// onStatus does what follows from the other side's status: fence, yield, or resume (rules 5 to 8).
func (n *Node) onStatus(ctx context.Context, a wire.Answer) error {
	ctx = context.WithoutCancel(ctx)
	n.begin()
	defer n.end()
	peer, err := n.check(a.Hello)
	if err != nil {
		return err
	}
	if a.Status != nil {
		if err := n.plausible(peer, a.Status.Seen); err != nil {
			return err
		}
	}
	q, fresh := n.spend(a.Nonce, wire.Status)
	if fresh {
		n.spoke(a.Life, q.drawn, true)
	}
	if err := n.heard(ctx, peer, a.Hello); err != nil {
		return err
	}
	if a.Refusal != nil {
		if fresh {
			return errors.Join(n.toldSameKey(a.Refusal, q.epoch), a.Refusal)
		}
		return a.Refusal
	}
	if r := n.sameKey(); r != nil { // who answered may be either of the two
		return r
	}
	if !fresh || a.Status == nil { // rule 6: an answer to an earlier life's question gives nobody the right to sign
		return wire.Refuse(wire.OldAnswer, "", "the other instance's answer is not to a question of this process")
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
		return n.passed(ctx, mine, a)
	}
	if a.Status.Seen > mine.Epoch {
		return n.oldState(fmt.Sprintf("the other instance knew this one at epoch %d, and the record here says %d", a.Status.Seen, mine.Epoch))
	}
	if a.Epoch > mine.Epoch { // and this instance is its owner, or heard would have yielded
		return n.superseded(ctx, mine, a.Hello)
	}
	if a.Epoch == mine.Epoch && a.Owner != n.Me() { // rule 8: equal, but not agreed
		return wire.Refuse(wire.NotOwner, "", "the other instance claims epoch %d too; it is waited for", a.Epoch)
	}
	if err := n.checkCopied(a.Status.Marks); err != nil {
		return err
	}
	marks, err := n.believed(a.Status.Marks)
	if err != nil {
		return err
	}
	return n.signer.Resume(n.floors(marks)) // rule 5
}

// checkCopied finds an old copy of this instance's own state: what the other side follows is durable here before it is told, so
// the owner of an epoch is never behind what the other side has from it.
//
// There is one floor that the other side has not followed: that of a certificate by level. It is above the marks here when this side gave
// that certificate, the other used it, and this side then took over below its level, because it had not heard of the floor. Nothing is old
// then; but the floor also hides how far the other side followed, so nobody can tell, and this side must not sign in either case.
func (n *Node) checkCopied(marks []wire.Mark) error {
	floor := hwm.Position{Level: -1}
	for _, m := range marks {
		if m.Source != hwm.SourcePeer {
			continue
		}
		key := hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind}
		st, err := n.store.State(key)
		if err != nil {
			return err
		}
		want := hwm.Position{Level: m.Level, Round: m.Round}
		switch {
		case st.Mark != nil && want.Compare(st.Mark.Position) <= 0:
		case want.Round != hwm.MaxRound:
			return n.oldState(fmt.Sprintf("the other instance followed this one to %s (%s of %s), and the mark here is below", want, m.Kind, m.PKH))
		case want.Compare(floor) > 0:
			floor = want
		}
	}
	if floor.Level < 0 {
		return nil
	}
	return n.copied(wire.Refuse(wire.OldOrFloor, fmt.Sprintf("stop the other instance; then here: highwater takeover. Its floor is above level %d then; where the chain is far "+
		"below that, restart this one in between, and make the other one's state anew: highwater init", floor.Level),
		"the state directory may be an old copy: the other instance has a floor at level %d, above the marks here. It followed this one to it, or "+
			"used a certificate by that level, before a takeover here: then nothing is old", floor.Level))
}

func (n *Node) oldState(what string) error {
	return n.copied(wire.Refuse(wire.OldState, "never sign from a restored copy: stop this instance; then on the other machine: highwater takeover; then start this one "+
		"again, and it is the backup. If the other one is gone for good: highwater takeover", "the state directory is an old copy: %s", what))
}

func (n *Node) copied(r *wire.Refusal) error {
	n.raiseAlarm(signer.AlarmRollback, r.Text, r.Hint)
	return r
}

// oldCopy is the refusal by which an instance finds its own state an old copy, or says so to the other one; nil for any other error.
func oldCopy(err error) *wire.Refusal {
	var r *wire.Refusal
	if errors.As(err, &r) && (r.Reason == wire.OldState || r.Reason == wire.OldOrFloor) {
		return r
	}
	return nil
}

// told is what the other side's operator is told when this side finds its own state an old copy.
func (n *Node) told(found *wire.Refusal) error {
	me := n.Me().Short()
	if found.Reason == wire.OldOrFloor {
		return wire.Refuse(found.Reason, "see, on its machine: highwater status; it says what to do",
			"the instance %s signs nothing: its state directory is an old copy, or the floor of a certificate by level, which the other instance has, is above its marks", me)
	}
	return wire.Refuse(found.Reason, "on its machine: systemctl stop highwater; then here: highwater takeover; then start it again, and it is the backup",
		"the instance %s signs nothing: it says that its state directory is an old copy", me)
}

// passed ends signing up to the ceilings when the new owner is above them.
func (n *Node) passed(ctx context.Context, mine hwm.RoleRecord, a wire.Answer) error {
	if mine.Role != hwm.Active || mine.Owner == n.Me() {
		return nil
	}
	_, level := n.givenAway()
	for _, m := range a.Status.Marks {
		if m.Level > level+1 && a.Owner == mine.Owner && a.Signing {
			mine.Role, mine.Why = hwm.Standby, fmt.Sprintf("the other instance signs, from level %d on", level+1)
			_, err := n.signer.Become(ctx, mine, nil)
			return err
		}
	}
	return nil
}
