package failover

import (
	"context"

	"highwater/hwm"
)

// followOnce follows the other side's marks until the stream ends. An instance that signs follows nobody.
func (n *Node) followOnce(ctx context.Context) {
	peer, ok := n.store.Peer()
	if !ok || n.store.Role().Role == hwm.Active {
		return
	}
	err := n.link.Follow(ctx, peer, n.question(peer, ""), func(a Answer) error { return n.onFollow(ctx, a) })
	n.mu.Lock()
	n.follow.connected = false
	n.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		n.log.Debug("following ended", "peer", peer.Address, "error", err)
	}
}

// onFollow merges marks by maximum, so that those here are close when they are needed.
func (n *Node) onFollow(ctx context.Context, a Answer) error {
	if a.Refusal != nil {
		return a.Refusal
	}
	n.act.Lock()
	defer n.act.Unlock()
	peer, err := n.check(a.Hello)
	if err != nil {
		return err
	}
	if err := n.heard(context.WithoutCancel(ctx), peer, a.Hello); err != nil {
		return err
	}
	if a.Status != nil && n.store.Role().Role != hwm.Active {
		marks, err := n.believed(a.Status.Marks)
		if err != nil {
			return err
		}
		if _, err := n.store.Raise(n.floors(marks)); err != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.follow = followState{true, n.now()}
	if n.store.Role().Role == hwm.Active {
		return refuse(IsActive, "", "this instance is active and follows nobody")
	}
	return nil
}

// changedMarks are those of next that are not in last; nil when there is none.
func changedMarks(last, next []Mark) []Mark {
	have := make(map[Mark]bool, len(last))
	for _, m := range last {
		have[m] = true
	}
	var out []Mark
	for _, m := range next {
		if !have[m] {
			out = append(out, m)
		}
	}
	return out
}
