package failover

import (
	"context"

	"highwater/failover/wire"
)

// askForIt is a handover to this side without its checklist and its waits.
func (n *Node) askForIt(ctx context.Context) (bool, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return false, wire.RefuseNoPeer()
	}
	c, err := n.askRelease(ctx, peer, nil)
	if err != nil {
		return false, err
	}
	return true, n.onCertificate(ctx, c, nil)
}
