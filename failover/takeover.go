package failover

import (
	"context"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// TakeoverRequest asks for the right to sign without the other instance, which is gone.
type TakeoverRequest struct {
	// Check looks, and changes nothing.
	Check bool `json:"check"`
	// CannotSign is the operator's statement that the other instance's process is stopped, or its devices are unplugged, and that
	// neither comes back by itself. Nothing implies it.
	CannotSign bool `json:"the_other_instance_cannot_sign"`
	// CertificateDestroyed is the statement that a certificate by level that this side gave away exists no more.
	CertificateDestroyed bool `json:"the_certificate_is_destroyed"`
	// Silence is how many levels at which our keys had rights must have passed without them; zero: none.
	Silence int `json:"silence"`
	// Head is where the chain is, for an instance without a node.
	Head *int32 `json:"head"`
	// Far is the operator's word that Head is right, although it is too far above all that is known (hwm.Limit).
	Far bool `json:"far,omitempty"`
	// Margin is what the floor lies above all that is known, in levels; null: as the evidence lets it be.
	Margin *int32 `json:"margin,omitempty"`
	Why    string `json:"why"`
}

// Takeover is the checklist, and what came of it.
type Takeover struct {
	Done     bool             `json:"done"`
	Ready    bool             `json:"ready"` // nothing stands in the way
	Findings []checklist.Line `json:"findings"`
	Epoch    uint64           `json:"epoch"`  // that it makes
	Floor    int32            `json:"floor"`  // nothing at or below it is signed
	Reason   string           `json:"reason"` // of the floor
	// Silence is what the chain shows of our keys; null without a node that says it.
	Silence *SilenceSeen `json:"silence"`

	guarded int32 // what the guard may take for the margin
}

// SilenceSeen is how far the silence of our keys has come.
type SilenceSeen struct {
	Levels  int    `json:"levels"`   // at which a key had rights, and nothing of ours was seen
	Wanted  int    `json:"wanted"`   // by the request
	LastOwn *int32 `json:"last_own"` // null: none since Since
	Since   int32  `json:"since"`    // the oldest level that was looked at
	Head    int32  `json:"head"`
}

// Takeover gathers the evidence, and takes the right when nothing stands in the way (rules 8 and 9). Without Check, a *Refusal says
// what does.
func (n *Node) Takeover(ctx context.Context, r TakeoverRequest) (Takeover, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Takeover{}, wire.Refuse(wire.NoPeer, "highwater activate", "no other instance is configured: there is nothing to take over from")
	}
	if r.Margin != nil && (*r.Margin < MinMargin || *r.Margin > MaxMargin) {
		return Takeover{}, wire.Refuse(wire.BadLevel, fmt.Sprintf("between %d and %d levels", MinMargin, MaxMargin), "a margin of %d levels", *r.Margin)
	}
	t, given := Takeover{}, n.given.Load()
	if t.Findings = n.diskHere(); t.Findings != nil { // it could not even look at its marks
		if r.Check {
			return t, nil
		}
		f := t.Findings[0]
		return t, wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	there := n.evidencePeer(ctx, peer)
	t.Findings = append(t.Findings, there, stated(r), n.evidenceHere(), n.evidenceKeys().Passing())
	t.Findings = append(t.Findings, n.ownCeilings()...)
	t.Findings = append(t.Findings, n.farHead(r)...)
	head, silence, node := n.evidenceChain(ctx, &r)
	t.Silence = seenSilence(silence, r.Silence)
	t.Findings = append(t.Findings, node...)
	t.Findings = append(t.Findings, n.evidenceCertificate(r)...)
	if err := n.floor(&t, silence, r, n.statedAt(r, there.Result != checklist.OK, head)); err != nil {
		return t, err
	}
	t.Epoch = n.nextEpoch()
	f := checklist.Stands(t.Findings)
	t.Ready = f == nil
	if r.Check {
		return t, nil
	}
	if f != nil {
		return t, wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	return n.takeOver(ctx, t, r, given)
}

// takeOver is the step itself. given is how many certificates had left when the evidence began: it says nothing of a later one.
func (n *Node) takeOver(ctx context.Context, t Takeover, r TakeoverRequest, given uint64) (Takeover, error) {
	if !r.CannotSign {
		return t, wire.Refuse(wire.Unstated, statementHint, "nobody stated that the other instance cannot sign")
	}
	n.begin()
	defer n.end()
	if n.signsHere() {
		return t, wire.Refuse(wire.IsActive, "there is nothing to take over; see: highwater peer show", "this instance signs already")
	}
	if n.given.Load() != given {
		return t, wire.Refuse(wire.NotReady, "look again: highwater takeover --check", "this instance gave the right to sign away meanwhile")
	}
	n.forgetAll()             // an answer that is still under way is of a time before this
	n.margin.Store(t.guarded) // before the guard sees the new epoch
	t.Epoch = n.nextEpoch()
	why := hwm.CutWhy("took over; stated: the other instance cannot sign. " + r.Why)
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: t.Epoch, Owner: n.Me(), Why: why}
	if _, err := n.signer.Become(context.WithoutCancel(ctx), next, n.takeoverFloors(t.Floor), n.lifts()...); err != nil {
		return t, err
	}
	t.Done = true
	n.log.Warn("took over", "epoch", t.Epoch, "floor", t.Floor)
	n.Poke() // tell the other side, should it live
	return t, nil
}

// signsHere tells whether this instance signs in an epoch of its own; one that only goes up to its ceilings does not.
func (n *Node) signsHere() bool {
	mine := n.store.Role()
	return mine.Role == hwm.Active && mine.Owner == n.Me() && n.signer.Active()
}

// nextEpoch is above anything that a release under way could have made.
func (n *Node) nextEpoch() uint64 {
	known := n.store.Role().Epoch
	peer, paired := n.store.Peer()
	if paired {
		known = max(known, peer.Seen)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said != nil && (!paired || n.plausible(peer, n.said.Epoch) == nil) {
		known = max(known, n.said.Epoch)
	}
	return known + 2
}

// takeoverFloors cover all keys that are known here, and all that have a mark.
func (n *Node) takeoverFloors(level int32) []hwm.Row {
	floors := n.signer.Floors(level, hwm.SourceTakeover)
	rows, err := n.rows()
	if err != nil {
		return floors // the write that follows fails on the same store
	}
	for _, r := range rows {
		floors = append(floors, hwm.Row{Key: r.Key, Mark: hwm.Floor(level, n.now(), hwm.SourceTakeover)})
	}
	return floors
}
