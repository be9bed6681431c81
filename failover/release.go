package failover

import (
	"context"
	"fmt"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/loghead"
)

// release gives the epoch away, or gives the same answer again (rules 2 to 5). fit says why the peer cannot sign.
func (n *Node) release(
	ctx context.Context, peer hwm.Peer, q wire.Question, fit func(hwm.Peer) error,
) (*wire.Certificate, error) {
	mine := n.store.Role()
	switch {
	case mine.Role == hwm.Fenced:
		return nil, wire.Refuse(wire.IsFenced,
			"find the second signer of the keys; afterwards, on the machine of your choice: highwater takeover",
			"the instance %s is fenced: %s", n.Me().Short(), mine.Why)
	case mine.Epoch == 0:
		return nil, wire.Refuse(wire.NeverActive, "highwater activate, on either machine",
			"the instance %s was never active", n.Me().Short())
	case q.Epoch < peer.Seen:
		return nil, wire.Refuse(wire.OldState,
			"never sign from a restored copy; make a new state: highwater init, hwm import, peer add",
			"the instance %s was at epoch %d before and says %d now: the state is an old "+
				"copy", q.From.Short(), peer.Seen, q.Epoch)
	case q.Seen > mine.Epoch: // the signatures since are not in the marks here
		found := n.oldState(fmt.Sprintf("the peer knew this instance at epoch %d, and the record here says %d", q.Seen,
			mine.Epoch))
		return nil, n.oldCopyForPeer(oldCopy(found))
	case mine.Owner == peer.Key:
		return n.again(ctx, q, mine)
	case mine.Role == hwm.Active && !n.signer.Active():
		return nil, n.waits()
	case mine.Owner != n.Me():
		return nil, neither(mine)
	}
	if err := fit(peer); err != nil {
		return nil, err
	}
	// Above every epoch of the peer too: the peer may know a newer epoch, given to this instance by a lost certificate.
	epoch := max(mine.Epoch, peer.Seen, q.Epoch) + 1
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: epoch, Owner: peer.Key, Why: "handed over to " + peer.Key.Short()}
	var ceilings []hwm.CeilingChange
	if q.At != nil {
		if err := n.checkLevel(*q.At); err != nil {
			return nil, err
		}
		ceilings = n.marks.Ceilings(*q.At)
		given, _ := n.marks.GivenAway()
		if len(ceilings)+len(given) == 0 { // nothing would tell a later takeover of the certificate (rule 11)
			return nil, wire.Refuse(wire.BadLevel,
				"choose a level below the ceilings: see highwater hwm list; or lift the ceilings first: highwater "+
					"hwm ceiling --lift",
				"every key has a ceiling of an operator at or below level %d already", *q.At)
		}
		next.Why = fmt.Sprintf("handed over to %s from level %d on", peer.Key.Short(), *q.At+1)
		if n.signer.Active() { // signing goes on, up to the ceilings
			next.Role = hwm.Active
		}
	}
	if q.DryRun {
		return nil, nil //nolint:nilnil // nothing was given, and nothing is in the way
	}
	if _, err := n.signer.Become(ctx, next, nil, ceilings...); err != nil { // rule 2: durable before the answer
		return nil, err
	}
	return n.certify(ctx, q, q.At)
}

// waits says why a restarted owner gives nothing away yet.
func (n *Node) waits() error {
	if found := oldCopy(n.heard.State().Err); found != nil {
		return n.oldCopyForPeer(found)
	}
	return wire.Refuse(wire.NotReady, "try again in a second",
		"the instance %s was restarted, and has not asked for leave to sign yet", n.Me().Short())
}

// neither refuses an owner's step while the owner is a third instance: an instance of the pair before its state was
// made anew.
func neither(mine hwm.RoleRecord) *wire.Refusal {
	return wire.Refuse(wire.NotOwner, verdict.OwnerGone, "epoch %d is owned by neither of the two, but by %s",
		mine.Epoch, mine.Owner.Short())
}

// again answers as before (rule 3). An instance with ceilings of a release names their level; without such a level the
// instance ends signing first.
func (n *Node) again(ctx context.Context, q wire.Question, mine hwm.RoleRecord) (*wire.Certificate, error) {
	keys, level := n.marks.GivenAway()
	if len(keys) > 0 {
		return n.certify(ctx, q, &level)
	}
	if mine.Role == hwm.Active && !q.DryRun {
		mine.Role = hwm.Standby
		if _, err := n.signer.Become(ctx, mine, nil); err != nil {
			return nil, err
		}
	}
	return n.certify(ctx, q, nil)
}

// certify signs the certificate for the epoch as the disk has it.
func (n *Node) certify(ctx context.Context, q wire.Question, level *int32) (*wire.Certificate, error) {
	head := n.headFor(ctx, q) // before the marks: no signature up to the head is above the marks
	marks, err := n.marks.Durable()
	if err != nil || q.DryRun {
		return nil, err
	}
	n.given.Add(1)
	mine := n.store.Role()
	return wire.Certificate{
		Protocol: wire.Protocol, Chain: n.signer.Chain(), From: n.Me(), To: mine.Owner, Epoch: mine.Epoch, Level: level,
		Marks: marks, AuditHead: head, Nonce: q.Nonce, When: n.now(),
	}.Sign(n.store.Identity())
}

// headFor is the head of the audit log for a certificate; null: none. An earlier build refuses the field, and the right
// would be nobody's: a peer on the line gets the head when the peer runs this build.
func (n *Node) headFor(ctx context.Context, q wire.Question) *loghead.Head {
	if n.auditHead == nil || q.DryRun {
		return nil
	}
	if r := n.lastReport(); q.Nonce != "" && (r == nil || r.Build != n.build) {
		return nil
	}
	return n.auditHead(ctx)
}

// checkLevel wants a cut-over level above every mark, and no mistyped level.
func (n *Node) checkLevel(level int32) error {
	highest, err := n.marks.Highest()
	if err != nil {
		return err
	}
	limit, err := n.signer.LimitOfAll()
	switch {
	case err != nil:
		return err
	case level < 0:
		return wire.Refuse(wire.BadLevel, "choose a level some minutes ahead", "the level %d is negative", level)
	case !limit.Known() && level >= hwm.FarLevels:
		return wire.Refuse(wire.BadLevel, "set the marks first: highwater hwm set",
			"nothing can be compared with level %d: no key has a mark here", level)
	case level <= highest:
		return wire.Refuse(wire.BadLevel, fmt.Sprintf("choose a level some minutes ahead, e.g. --at %d", int64(highest)+50),
			"level %d is not above the highest signed or set level %d", level, highest)
	case !limit.Allows(level):
		return wire.Refuse(wire.TooFar, "choose a level some minutes ahead", "level %d is %s", level, limit.Distance(level))
	}
	return nil
}

// Release makes a certificate by level for the peer, to be carried in a file. This side signs on, up to the level.
func (n *Node) Release(ctx context.Context, at int32) (*wire.Certificate, error) {
	n.begin()
	defer n.end()
	peer, ok := n.store.Peer()
	if !ok {
		return nil, wire.RefuseNoPeer()
	}
	q := wire.Question{Hello: wire.Hello{From: peer.Key, Epoch: peer.Seen}, At: &at}
	c, err := n.release(context.WithoutCancel(ctx), peer, q, n.fitAsFar)
	if err != nil {
		return nil, err
	}
	if c.Level == nil {
		return nil, wire.Refuse(wire.NotOwner, "ask for the right on the peer's machine: highwater handover",
			"epoch %d was given to the peer already, live", c.Epoch)
	}
	n.Poke()
	return c, nil
}
