package failover

import (
	"context"

	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/node"
	"highwater/signer"
)

// NewGuard makes the guard of this instance, for one that has an octez node. memory must hear every outcome of the signer from the
// start of the process; who runs the guard pokes it at each change of role.
func (n *Node) NewGuard(client *node.Client, memory *guard.Memory) *guard.Guard {
	witness := guard.Witness{Node: client, Chain: n.signer.Chain()}
	return guard.New(guard.Config{
		Node: client, Chain: n.signer.Chain(), Keys: n.guarded, Marks: n.store, Memory: memory, Role: n.watched, Margin: n.marginTaken,
		Alarm: func(ctx context.Context, f guard.Finding) { n.sighted(ctx, f, witness) },
		Head:  func(h node.Header) { n.sawHead(h.Level, h.Timestamp) },
		Log:   n.log, Now: n.now,
	})
}

// marginTaken is what the guard may take for the margin of the takeover that the floors are of. After a restart it is not known any
// more: then what the former signer signed just before it died must not count against this one.
func (n *Node) marginTaken() int32 { return max(n.margin.Load(), guard.Grace) }

// watched is the role as the guard sees it: what others sign while this instance lets nobody in is not its business. An owner that was
// restarted and waits is no different from one on standby; the other instance may have taken over.
func (n *Node) watched() hwm.RoleRecord {
	r := n.store.Role()
	if r.Role == hwm.Active && !n.signer.Active() {
		r.Role = hwm.Standby
	}
	return r
}

func (n *Node) guarded() []guard.Key {
	infos := n.signer.Keys()
	keys := make([]guard.Key, 0, len(infos))
	for _, k := range infos {
		keys = append(keys, guard.Key{PKH: k.PKH, Public: k.PublicKey, Kinds: k.Allow})
	}
	return keys
}

// sighted is told by the guard that another signer of our keys is alive: fence first, then say so. Whether the state directory is to blame
// is then asked of the chain.
func (n *Node) sighted(ctx context.Context, f guard.Finding, chain signer.Witness) {
	if f.Doubtful {
		n.signer.RaiseAlarm(signer.AlarmUnproven, "chain", f.Key.String(), f.String()+"; but its signature does not verify", hintUnproven)
		return
	}
	hint := hintSighted
	switch fenced, err := n.fenceEpoch(f.Epoch, f.String()); {
	case err != nil: // the gate is closed all the same, until a restart
		n.log.Error("the fence is not durable", "error", err.Error())
		hint = "the fence could not be written down: do not restart this instance before the disk is well; " + hint
	case !fenced:
		hint = "this instance stopped signing before it was found; " + hint
	}
	n.signer.RaiseAlarm(signer.AlarmTwin, "chain", f.Key.String(), f.String(), hint)
	if f.Fresh || n.store.Role().Owner != n.Me() {
		return // no old copy explains it; or the other instance's signatures are on chain too
	}
	if err := n.signer.Consult(ctx, chain); err != nil && ctx.Err() == nil {
		n.log.Warn("the chain was not searched for the age of the marks", "error", err.Error())
	}
}

const hintSighted = "find out what else signs with this key, and stop it; or the marks here were too low: restored from a copy, set too low, " +
	"or taken over before the former signer ended. Then, above all that was signed: of a pair highwater takeover, alone highwater activate --level LEVEL"

const hintUnproven = "this instance signs on. Look for that block on another node or an explorer: if it has the operation, something else may sign with this " +
	"key: highwater standby, and find it. If it has not, do not use this node. After a new protocol, look for a new version of Highwater"

// fenceEpoch ends signing for good, until an operator's deliberate act, because another signer of our keys was seen in this epoch. It
// does so only while this instance signs in that very epoch, which no other step of the protocol can change meanwhile: what was seen in
// an epoch that is over says nothing against whoever signs now. Signatures under way never leave, since the other signer may be
// at the same level.
func (n *Node) fenceEpoch(epoch uint64, why string) (fenced bool, err error) {
	n.act.Lock()
	defer n.act.Unlock()
	if now := n.watched(); now.Role != hwm.Active || now.Epoch != epoch {
		return false, nil
	}
	_, err = n.signer.Stand(givenUp(), hwm.Fenced, why)
	return err == nil, err
}
