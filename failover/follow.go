package failover

import (
	"context"

	"highwater/failover/wire"
	"highwater/hwm"
)

// followOnce follows the peer's marks until the stream ends. An instance that signs follows nobody.
func (n *Node) followOnce(ctx context.Context) {
	peer, ok := n.store.Peer()
	if !ok || n.store.Role().Role == hwm.Active {
		return
	}
	err := n.link.Follow(ctx, peer, n.question(peer, ""), func(a wire.Answer) error { return n.onFollow(ctx, a) })
	n.heard.Unfollowed()
	if err != nil && ctx.Err() == nil {
		n.log.Debug("following ended", "peer", peer.Address, "error", err)
	}
}

// onFollow merges marks by maximum: a later takeover or handover finds the marks here close to the peer's.
func (n *Node) onFollow(ctx context.Context, a wire.Answer) error {
	if a.Refusal != nil {
		return a.Refusal
	}
	n.begin()
	defer n.end()
	peer, err := n.check(a.Hello)
	if err != nil {
		return err
	}
	if err := n.applyHello(context.WithoutCancel(ctx), peer, a.Hello); err != nil {
		return err
	}
	if a.Status != nil && n.store.Role().Role != hwm.Active {
		marks, err := n.marks.Believed(a.Status.Marks)
		if err != nil {
			return err
		}
		if _, err := n.store.Raise(n.marks.Floors(marks)); err != nil {
			return err
		}
	}
	n.heard.Followed(n.now())
	if n.store.Role().Role == hwm.Active {
		return wire.Refuse(wire.IsActive, "", "this instance is active and follows nobody")
	}
	return nil
}
