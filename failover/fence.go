package failover

import "highwater/hwm"

// TakeoverMargin is the margin of the present epoch's takeover, in levels; zero without a takeover in this process, or
// without a level surely free of the former signer's signatures.
func (n *Node) TakeoverMargin() int32 { return n.margin.Load() }

// Watched is the role for a guard: Active while this instance signs. A restarted owner that waits for the peer's answer
// is on standby here: the peer may have taken over, and may sign.
func (n *Node) Watched() hwm.RoleRecord {
	r := n.store.Role()
	if r.Role == hwm.Active && !n.signer.Active() {
		r.Role = hwm.Standby
	}
	return r
}

// Fence ends signing until an operator's deliberate act, because another signer of our keys was seen in an epoch. Fence
// acts only while this instance signs in the same epoch, and no second step of the protocol runs meanwhile: a sighting
// in a past epoch says nothing against the present signer. Signatures under way never leave, since the second signer
// may be at the same level. An error says that the fence is not durable; the gate is closed all the same.
func (n *Node) Fence(epoch uint64, why string) (fenced bool, err error) {
	n.begin()
	defer n.end()
	if now := n.Watched(); now.Role != hwm.Active || now.Epoch != epoch {
		return false, nil
	}
	_, err = n.signer.Stand(givenUp(), hwm.Fenced, why)
	return err == nil, err
}
