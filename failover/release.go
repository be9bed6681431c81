package failover

import (
	"context"
	"fmt"
	"slices"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
)

// release gives the epoch away, or says again to whom it was given (rules 2 to 5). fit says why the other side cannot sign.
func (n *Node) release(ctx context.Context, peer hwm.Peer, q wire.Question, fit func(hwm.Peer) error) (*wire.Certificate, error) {
	mine := n.store.Role()
	switch {
	case mine.Role == hwm.Fenced:
		return nil, wire.Refuse(wire.IsFenced, "find out who signed; then, on the machine that should sign: highwater takeover",
			"the instance %s is fenced: %s", n.Me().Short(), mine.Why)
	case mine.Epoch == 0:
		return nil, wire.Refuse(wire.NeverActive, "highwater activate, on one of the two machines", "the instance %s was never active", n.Me().Short())
	case q.Epoch < peer.Seen:
		return nil, wire.Refuse(wire.OldState, "never sign from a restored copy; make its state anew: highwater init, hwm import, peer add",
			"the instance %s was at epoch %d before and says %d now: its state is an old copy", q.From.Short(), peer.Seen, q.Epoch)
	case q.Seen > mine.Epoch: // and what was signed since then is not in its marks
		return nil, n.told(oldCopy(n.oldState(fmt.Sprintf("the other instance knew this one at epoch %d, and the record here says %d", q.Seen, mine.Epoch))))
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
	// Above all that the other side said too: it may know a newer epoch, given to this one by a certificate that never came.
	epoch := max(mine.Epoch, peer.Seen, q.Epoch) + 1
	next := hwm.RoleRecord{Role: hwm.Standby, Epoch: epoch, Owner: peer.Key, Why: "handed over to " + peer.Key.Short()}
	var ceilings []hwm.CeilingChange
	if q.At != nil {
		if err := n.checkLevel(*q.At); err != nil {
			return nil, err
		}
		ceilings = n.ceilings(*q.At)
		if given, _ := n.givenAway(); len(ceilings)+len(given) == 0 { // nothing would tell a later takeover of the certificate (rule 11)
			return nil, wire.Refuse(wire.BadLevel, "choose a level below them: see highwater hwm list; or lift them first: highwater hwm ceiling --lift",
				"every key has a ceiling of an operator at or below level %d already", *q.At)
		}
		next.Why = fmt.Sprintf("handed over to %s from level %d on", peer.Key.Short(), *q.At+1)
		if n.signer.Active() { // it signs on, up to the ceilings
			next.Role = hwm.Active
		}
	}
	if q.DryRun {
		return nil, nil //nolint:nilnil // nothing was given, and nothing is in the way
	}
	if _, err := n.signer.Become(ctx, next, nil, ceilings...); err != nil { // rule 2: durable before the answer
		return nil, err
	}
	return n.certify(q, q.At)
}

// waits says why an owner that does not sign yet gives nothing away.
func (n *Node) waits() error {
	n.mu.Lock()
	found := oldCopy(n.lastErr)
	n.mu.Unlock()
	if found != nil {
		return n.told(found)
	}
	return wire.Refuse(wire.NotReady, "try again in a second", "the instance %s was restarted and has not asked yet whether it may still sign", n.Me().Short())
}

// neither refuses what only the owner could do, and the owner is a third instance: one of the two before its state was made anew.
func neither(mine hwm.RoleRecord) *wire.Refusal {
	return wire.Refuse(wire.NotOwner, verdict.OwnerGone, "epoch %d is owned by neither of the two, but by %s", mine.Epoch, mine.Owner.Short())
}

// again answers as before (rule 3). A side that may still sign says up to where; when that cannot be told, it ends first.
func (n *Node) again(ctx context.Context, q wire.Question, mine hwm.RoleRecord) (*wire.Certificate, error) {
	keys, level := n.givenAway()
	if len(keys) > 0 {
		return n.certify(q, &level)
	}
	if mine.Role == hwm.Active && !q.DryRun {
		mine.Role = hwm.Standby
		if _, err := n.signer.Become(ctx, mine, nil); err != nil {
			return nil, err
		}
	}
	return n.certify(q, nil)
}

// certify signs the certificate for the epoch as it is on disk.
func (n *Node) certify(q wire.Question, level *int32) (*wire.Certificate, error) {
	marks, err := n.durableMarks()
	if err != nil || q.DryRun {
		return nil, err
	}
	n.given.Add(1)
	mine := n.store.Role()
	return wire.Certificate{
		Protocol: wire.Protocol, Chain: n.signer.Chain(), From: n.Me(), To: mine.Owner, Epoch: mine.Epoch, Level: level,
		Marks: marks, Nonce: q.Nonce, When: n.now(),
	}.Sign(n.store.Identity())
}

// checkLevel sees that a cut-over level is above what was signed, and not a mistyped one.
func (n *Node) checkLevel(level int32) error {
	highest, err := n.highest()
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
		return wire.Refuse(wire.BadLevel, "set the marks first: highwater hwm set", "there is nothing to compare level %d with: no key has a mark here", level)
	case level <= highest:
		return wire.Refuse(wire.BadLevel, fmt.Sprintf("choose a level some minutes ahead, e.g. --at %d", int64(highest)+50),
			"level %d is not above level %d, which was signed or set already", level, highest)
	case !limit.Allows(level):
		return wire.Refuse(wire.TooFar, "choose a level some minutes ahead", "level %d is %s", level, limit.Distance(level))
	}
	return nil
}

// highest is the highest level of all marks of our chain; -1 without any.
func (n *Node) highest() (int32, error) {
	rows, err := n.rows()
	if err != nil {
		return 0, err
	}
	highest := int32(-1)
	for _, r := range rows {
		highest = max(highest, r.Level)
	}
	return highest, nil
}

// rows are all marks of our chain.
func (n *Node) rows() ([]hwm.Row, error) {
	rows, err := n.store.Rows()
	return n.ofChain(rows), err
}

func (n *Node) ofChain(rows []hwm.Row) []hwm.Row {
	return slices.DeleteFunc(rows, func(r hwm.Row) bool { return r.Chain != n.signer.Chain() })
}

// ceilings are those of all keys that have a mark or are known here. One that an operator set lower stays.
func (n *Node) ceilings(level int32) []hwm.CeilingChange {
	have, seen := n.store.Ceilings(), map[hwm.CeilingKey]bool{}
	var out []hwm.CeilingChange
	add := func(key hwm.CeilingKey) {
		old, ok := have[key]
		if seen[key] || ok && old.Level <= level {
			return
		}
		seen[key] = true
		c := hwm.Ceiling{Level: level, At: n.now(), Source: hwm.SourcePeer}
		out = append(out, hwm.CeilingChange{Key: key, Ceiling: &c})
	}
	if rows, err := n.rows(); err == nil {
		for _, r := range rows {
			add(hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH})
		}
	}
	for _, k := range n.signer.Keys() {
		add(hwm.CeilingKey{Chain: n.signer.Chain(), PKH: k.PKH})
	}
	return out
}

// givenAway are the ceilings that a release by level left.
func (n *Node) givenAway() (out []hwm.CeilingKey, level int32) {
	for key, c := range n.store.Ceilings() {
		if key.Chain == n.signer.Chain() && c.Source == hwm.SourcePeer {
			out = append(out, key)
			level = max(level, c.Level)
		}
	}
	return out, level
}

// signsUpTo is the level up to which this side signs in an epoch that it gave away by level; nil: it signs in no such epoch.
func (n *Node) signsUpTo(mine hwm.RoleRecord) *int32 {
	keys, level := n.givenAway()
	if mine.Role != hwm.Active || mine.Owner == n.Me() || len(keys) == 0 {
		return nil
	}
	return &level
}

// lifts lift them again.
func (n *Node) lifts() []hwm.CeilingChange {
	keys, _ := n.givenAway()
	out := make([]hwm.CeilingChange, 0, len(keys))
	for _, k := range keys {
		out = append(out, hwm.CeilingChange{Key: k})
	}
	return out
}

// Release makes a certificate by level for the other instance, to be carried in a file. This side signs on, up to the level.
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
		return nil, wire.Refuse(wire.NotOwner, "ask for it there: highwater handover", "epoch %d was given to the other instance already, live", c.Epoch)
	}
	n.Poke()
	return c, nil
}
