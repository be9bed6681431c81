package failover

import (
	"log/slog"

	"highwater/failover/heard"
	"highwater/failover/wire"
	"highwater/hwm"
)

// epochs compares and makes the numbers of rights. The state is in the store, and in the peer's last answer.
type epochs struct {
	store Store
	heard *heard.Peer
	log   *slog.Logger
}

// maxJump is how far an epoch may lie above all known epochs: each handover, activation or takeover is a step of 1 or
// 2.
const maxJump = 1 << 20

// plausible refuses an epoch without a possible history. Believed once, the epoch would be the newest for good, and the
// next epochs would come close to the largest number that a message can hold.
func (e epochs) plausible(peer hwm.Peer, epoch uint64) error {
	known := max(e.store.Role().Epoch, peer.Seen)
	if epoch <= known || epoch-known <= maxJump {
		return nil
	}
	return wire.Refuse(wire.FarEpoch,
		"the state directory of the speaking instance is damaged, or not of this pair: stop the instance, and "+
			"make a new state with highwater init",
		"a message names epoch %d, and the newest epoch known here is %d: no history leads so far, and the message "+
			"is not believed", epoch, known)
}

// keep stores the newest epoch in the peer's messages: an old copy of the peer's state is recognised by the epoch.
func (e epochs) keep(peer hwm.Peer, h wire.Hello) error {
	switch {
	case h.Epoch > peer.Seen:
		peer.Seen = h.Epoch
		return e.store.SetPeer(&peer)
	case h.Epoch < peer.Seen:
		e.log.Warn("the peer said more before", "seen", peer.Seen, "says", h.Epoch)
	}
	return nil
}

// next is above any epoch of a release under way.
func (e epochs) next() uint64 {
	known := e.store.Role().Epoch
	peer, paired := e.store.Peer()
	if paired {
		known = max(known, peer.Seen)
	}
	if said := e.heard.State().Said; said != nil && (!paired || e.plausible(peer, said.Epoch) == nil) {
		known = max(known, said.Epoch)
	}
	return known + 2
}

// strange tells whether the epoch is owned by neither of the two.
func (e epochs) strange(mine hwm.RoleRecord) bool {
	peer, paired := e.store.Peer()
	return paired && mine.Epoch > 0 && mine.Owner != e.store.Instance() && mine.Owner != peer.Key
}
