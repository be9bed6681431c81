package failover

import (
	"errors"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// checkCopied finds an old copy of this instance's own state. The marks that the peer follows are durable here before
// the peer is told of them: the owner of an epoch is never behind the marks that the peer has from the owner.
//
// The floor of a certificate by level is not followed. The floor is above the marks here when the peer used a
// certificate of this instance, and this instance took over below the certificate's level, without word of the floor.
// Nothing is old in this case; but the floor also hides how far the peer followed. Nobody can tell the two cases apart,
// and this instance must not sign in either.
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
			return n.oldState(fmt.Sprintf("the peer followed this instance to %s (%s of %s), and the mark here is "+
				"below", want, m.Kind, m.PKH))
		case want.Compare(floor) > 0:
			floor = want
		}
	}
	if floor.Level < 0 {
		return nil
	}
	return n.raiseOld(wire.Refuse(wire.OldOrFloor,
		fmt.Sprintf("stop the peer; afterwards, here: highwater takeover. The floor of this instance is above level "+
			"%d after the takeover. Where the chain is far below the level, restart this instance in between, and "+
			"make the peer's state anew: highwater init", floor.Level),
		"the state directory may be an old copy: the peer has a floor at level %d, above the marks here. Either the "+
			"peer followed this instance to the floor, or the peer used a certificate by the level before a takeover "+
			"here: nothing is old in the second case", floor.Level))
}

func (n *Node) oldState(what string) error {
	return n.raiseOld(wire.Refuse(wire.OldState,
		"never sign from a restored copy: stop this instance; afterwards, on the peer's machine: highwater "+
			"takeover; start this instance again as the backup. If the peer is gone for good: highwater takeover",
		"the state directory is an old copy: %s", what))
}

func (n *Node) raiseOld(r *wire.Refusal) error {
	n.raiseAlarm(signer.AlarmRollback, r.Text, r.Hint)
	return r
}

// oldCopy is the refusal of an instance that finds its own state an old copy; nil for all remaining errors.
func oldCopy(err error) *wire.Refusal {
	var r *wire.Refusal
	if errors.As(err, &r) && (r.Reason == wire.OldState || r.Reason == wire.OldOrFloor) {
		return r
	}
	return nil
}

// oldCopyForPeer is the refusal for the peer's operator when this side finds its own state an old copy.
func (n *Node) oldCopyForPeer(found *wire.Refusal) error {
	me := n.Me().Short()
	if found.Reason == wire.OldOrFloor {
		return wire.Refuse(found.Reason, "see the way out on the machine of "+me+": highwater status",
			"the instance %s signs nothing: the state directory is an old copy, or the marks are below a floor of "+
				"the peer, from a certificate by level",
			me)
	}
	return wire.Refuse(found.Reason,
		"on the machine of "+me+": systemctl stop highwater; afterwards, here: highwater takeover; start the stopped "+
			"instance again as the backup",
		"the instance %s signs nothing, and calls its own state directory an old copy", me)
}
