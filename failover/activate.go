package failover

import (
	"context"

	"highwater/failover/wire"
	"highwater/hwm"
)

// Activate is an operator's first activation of the pair, or the owner's return from standby. Activate asks the peer
// before anything is signed.
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
	n.activating.Add(1) // before the question: of two activations at once, at least the later sees the earlier
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
	if err = n.peerClaims(mine, a); err != nil {
		return hwm.RoleRecord{}, err
	}
	if mine.Epoch > 0 {
		if err = n.checkCopied(a.Status.Marks); err != nil {
			return hwm.RoleRecord{}, err
		}
	}
	marks, err := n.marks.Believed(a.Status.Marks)
	if err != nil {
		return hwm.RoleRecord{}, err
	}
	if _, err := n.store.Raise(n.marks.Floors(marks)); err != nil {
		return hwm.RoleRecord{}, err
	}
	return n.signer.Activate(level, why)
}

// CheckActivate finds obstacles of the pair to Activate, and changes nothing.
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
	return n.peerClaims(n.store.Role(), a)
}

func errUnasked(err error) *wire.Refusal {
	return wire.Refuse(wire.Unreachable, "when the peer is gone for good: highwater takeover",
		"the peer must be asked before this instance signs: %v", err)
}

// peerClaims refuses when the peer signs, may come to sign, or claims the epoch.
func (n *Node) peerClaims(mine hwm.RoleRecord, a wire.Answer) error {
	if mine.Epoch > 0 && a.Epoch == mine.Epoch && a.Owner == a.From && !a.Signing {
		return wire.Refuse(wire.NotOwner, "when the peer is fenced, or the peer's process is stopped: highwater takeover",
			"the peer claims epoch %d too: the peer is %s", a.Epoch, a.Role)
	}
	newer := a.Epoch > mine.Epoch || a.Status.Seen > mine.Epoch || a.Epoch == mine.Epoch && a.Epoch > 0 &&
		a.Owner != n.Me()
	if a.Signing || a.Status.Activating || newer {
		return wire.Refuse(wire.NotOwner, "see on both machines: highwater status",
			"the peer is active, or is being activated too")
	}
	return nil
}

func (n *Node) mayActivate(mine hwm.RoleRecord) error {
	switch {
	case mine.Role == hwm.Active:
		return wire.Refuse(wire.IsActive, "when the peer is gone for good: highwater takeover",
			"this instance is active in epoch %d, and waits for the peer's answer before it signs", mine.Epoch)
	case mine.Role == hwm.Fenced:
		return wire.Refuse(wire.IsFenced, "find the second signer of the keys; afterwards: highwater takeover",
			"this instance is fenced: %s", mine.Why)
	case n.epochs.strange(mine):
		return neither(mine)
	case mine.Epoch > 0 && mine.Owner != n.Me():
		return wire.Refuse(wire.NotOwner, "highwater handover; when the peer is gone for good: highwater takeover",
			"epoch %d belongs to the peer", mine.Epoch)
	}
	return nil
}

// Stand ends signing, in the present epoch.
func (n *Node) Stand(ctx context.Context, why string) (hwm.RoleRecord, error) {
	n.begin()
	defer n.end()
	return n.signer.Stand(ctx, hwm.Standby, why)
}
