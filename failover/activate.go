package failover

import (
	"context"

	"highwater/failover/wire"
	"highwater/hwm"
)

// Activate is an operator's first activation of the pair, or the owner's return from standby: it asks before it signs.
func (n *Node) Activate(ctx context.Context, level *int32, why string) (hwm.RoleRecord, error) {
	if _, paired := n.store.Peer(); !paired {
		n.begin()
		defer n.end()
		return n.signer.Activate(level, why)
	}
	mine := n.store.Role()
	if mine.Role == hwm.Active && n.signer.Active() {
		return mine, nil
	}
	if err := n.mayActivate(mine); err != nil {
		return hwm.RoleRecord{}, err
	}
	n.activating.Add(1) // before it asks: of two that do so at once, at least one sees the other
	defer n.activating.Add(-1)
	a, err := n.Ask(ctx)
	if err != nil {
		return hwm.RoleRecord{}, errUnasked(err)
	}
	n.begin()
	defer n.end()
	mine = n.store.Role()
	if err = n.mayActivate(mine); err != nil {
		return hwm.RoleRecord{}, err
	}
	if err = n.othersClaim(mine, a); err != nil {
		return hwm.RoleRecord{}, err
	}
	if mine.Epoch > 0 {
		if err = n.checkCopied(a.Status.Marks); err != nil {
			return hwm.RoleRecord{}, err
		}
	}
	marks, err := n.believed(a.Status.Marks)
	if err != nil {
		return hwm.RoleRecord{}, err
	}
	if _, err := n.store.Raise(n.floors(marks)); err != nil {
		return hwm.RoleRecord{}, err
	}
	return n.signer.Activate(level, why)
}

// CheckActivate finds what of the pair stands in the way of Activate, and changes nothing.
func (n *Node) CheckActivate(ctx context.Context) error {
	mine := n.store.Role()
	if _, paired := n.store.Peer(); !paired || mine.Role == hwm.Active && n.signer.Active() {
		return nil
	}
	if err := n.mayActivate(mine); err != nil {
		return err
	}
	a, err := n.Ask(ctx)
	if err != nil {
		return errUnasked(err)
	}
	return n.othersClaim(n.store.Role(), a)
}

func errUnasked(err error) *wire.Refusal {
	return wire.Refuse(wire.Unreachable, "when the other instance is gone for good: highwater takeover",
		"the other instance must be asked before this one signs: %v", err)
}

// othersClaim refuses when the other side signs, may come to sign, or says that the epoch is its own.
func (n *Node) othersClaim(mine hwm.RoleRecord, a wire.Answer) error {
	if mine.Epoch > 0 && a.Epoch == mine.Epoch && a.Owner == a.From && !a.Signing {
		return wire.Refuse(wire.NotOwner, "when it is fenced, or its process is stopped: highwater takeover",
			"the other instance claims epoch %d too: it is %s", a.Epoch, a.Role)
	}
	if a.Signing || a.Status.Activating || a.Epoch > mine.Epoch || a.Status.Seen > mine.Epoch || a.Epoch == mine.Epoch && a.Epoch > 0 && a.Owner != n.Me() {
		return wire.Refuse(wire.NotOwner, "see on both machines: highwater status", "the other instance is active, or is being activated too")
	}
	return nil
}

func (n *Node) mayActivate(mine hwm.RoleRecord) error {
	switch {
	case mine.Role == hwm.Active:
		return wire.Refuse(wire.IsActive, "when the other instance is gone for good: highwater takeover",
			"this instance is active in epoch %d, and waits for the other one's answer before it signs", mine.Epoch)
	case mine.Role == hwm.Fenced:
		return wire.Refuse(wire.IsFenced, "find out who signed; then: highwater takeover", "this instance is fenced: %s", mine.Why)
	case n.strange(mine):
		return neither(mine)
	case mine.Epoch > 0 && mine.Owner != n.Me():
		return wire.Refuse(wire.NotOwner, "highwater handover; when the peer is gone for good: highwater takeover",
			"epoch %d belongs to the other instance", mine.Epoch)
	}
	return nil
}

// strange tells whether the epoch is owned by neither of the two.
func (n *Node) strange(mine hwm.RoleRecord) bool {
	peer, paired := n.store.Peer()
	return paired && mine.Epoch > 0 && mine.Owner != n.Me() && mine.Owner != peer.Key
}

// Stand ends signing, in the epoch that is.
func (n *Node) Stand(ctx context.Context, why string) (hwm.RoleRecord, error) {
	n.begin()
	defer n.end()
	return n.signer.Stand(ctx, hwm.Standby, why)
}
