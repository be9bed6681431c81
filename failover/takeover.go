package failover

import (
	"context"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// TakeoverRequest asks for the right to sign without the peer: the peer is gone.
type TakeoverRequest struct {
	// Check looks, and changes nothing.
	Check bool `json:"check"`
	// CannotSign is the operator's statement about the peer: its process is stopped, or its devices are unplugged, and
	// neither comes back by itself. Nothing implies the statement.
	CannotSign bool `json:"the_other_instance_cannot_sign"`
	// CertificateDestroyed is the operator's statement about a certificate by level from this instance: the certificate
	// and its copies exist no more.
	CertificateDestroyed bool `json:"the_certificate_is_destroyed"`
	// Silence is how many levels with rights of our keys must have passed without a signature of ours; zero: none.
	Silence int `json:"silence"`
	// Head is the head of the chain, for an instance without a node.
	Head *int32 `json:"head"`
	// Far is the operator's word that Head is right, although Head is too far above all known levels (hwm.Limit).
	Far bool `json:"far,omitempty"`
	// Margin is how many levels the floor lies above all known levels; null: as few as the evidence allows.
	Margin *int32 `json:"margin,omitempty"`
	Why    string `json:"why"`
}

// Takeover is the checklist, and the result.
type Takeover struct {
	Done     bool             `json:"done"`
	Ready    bool             `json:"ready"` // nothing stands in the way
	Findings []checklist.Line `json:"findings"`
	Epoch    uint64           `json:"epoch"`  // the new epoch
	Floor    int32            `json:"floor"`  // nothing at or below the floor is signed
	Reason   string           `json:"reason"` // of the floor
	// Silence is the chain's view of our keys; null: no node tells.
	Silence *SilenceSeen `json:"silence"`

	guarded int32 // the margin for the guard
}

// SilenceSeen is how far the silence of our keys has come.
type SilenceSeen struct {
	Levels  int    `json:"levels"`   // with rights of a key, and without a signature of ours
	Wanted  int    `json:"wanted"`   // by the request
	LastOwn *int32 `json:"last_own"` // null: none since Since
	Since   int32  `json:"since"`    // the oldest level of the search
	Head    int32  `json:"head"`
}

// Takeover gathers the evidence, and takes the right when nothing stands in the way (rules 8 and 9). Without Check, a
// *Refusal names the obstacle.
func (n *Node) Takeover(ctx context.Context, r TakeoverRequest) (Takeover, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Takeover{}, wire.Refuse(wire.NoPeer, "highwater activate",
			"no peer is configured: a takeover has nothing to take")
	}
	if r.Margin != nil && (*r.Margin < MinMargin || *r.Margin > MaxMargin) {
		return Takeover{}, wire.Refuse(wire.BadLevel, fmt.Sprintf("between %d and %d levels", MinMargin, MaxMargin),
			"a margin of %d levels", *r.Margin)
	}
	t, given := Takeover{}, n.given.Load()
	if t.Findings = n.diskHere(); t.Findings != nil { // not even the marks can be read
		if r.Check {
			return t, nil
		}
		return t, standsInTheWay(t.Findings[0])
	}
	there := n.evidencePeer(ctx, peer)
	t.Findings = append(t.Findings, there, stated(r), n.evidenceHere(), n.keys.Able(n.lastReport()).Passing())
	t.Findings = append(t.Findings, n.marks.Operators()...)
	t.Findings = append(t.Findings, n.farHead(r)...)
	head, silence, node := n.evidenceChain(ctx, &r)
	t.Silence = seenSilence(silence, r.Silence)
	t.Findings = append(t.Findings, node...)
	t.Findings = append(t.Findings, n.evidenceCertificate(r)...)
	stated := n.stated.head(r, there.Result != checklist.OK, head, n.store.Role().Epoch, n.now())
	if err := n.floor(&t, silence, r, stated); err != nil {
		return t, err
	}
	t.Epoch = n.epochs.next()
	f := checklist.Stands(t.Findings)
	t.Ready = f == nil
	if r.Check {
		return t, nil
	}
	if f != nil {
		return t, standsInTheWay(*f)
	}
	return n.takeOver(ctx, t, r, given)
}

// standsInTheWay is the refusal by a line of a checklist.
func standsInTheWay(f checklist.Line) *wire.Refusal {
	return wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
}

// takeOver is the step itself. given is how many certificates had left when the evidence began: the evidence says
// nothing of a later certificate.
func (n *Node) takeOver(ctx context.Context, t Takeover, r TakeoverRequest, given uint64) (Takeover, error) {
	if !r.CannotSign {
		return t, wire.Refuse(wire.Unstated, statementHint, unstatedText)
	}
	n.begin()
	defer n.end()
	if n.signsHere() {
		return t, wire.Refuse(wire.IsActive, "nothing is left to take over; see: highwater peer show",
			"this instance signs already")
	}
	if n.given.Load() != given {
		return t, wire.Refuse(wire.NotReady, "look again: highwater takeover --check",
			"the right to sign was given away from here meanwhile")
	}
	n.questions.DropAll()     // an answer still under way is of an earlier time
	n.margin.Store(t.guarded) // before the guard sees the new epoch
	t.Epoch = n.epochs.next()
	why := hwm.CutWhy("took over; stated: the peer cannot sign. " + r.Why)
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: t.Epoch, Owner: n.Me(), Why: why}
	floors := n.marks.TakeoverFloors(t.Floor)
	if _, err := n.signer.Become(context.WithoutCancel(ctx), next, floors, n.marks.Lifts()...); err != nil {
		return t, err
	}
	t.Done = true
	n.log.Warn("took over", "epoch", t.Epoch, "floor", t.Floor)
	n.Poke() // to tell the peer, should the peer live
	return t, nil
}

// signsHere tells whether this instance signs in an epoch of its own. An instance that only goes up to its ceilings
// does not.
func (n *Node) signsHere() bool {
	mine := n.store.Role()
	return mine.Role == hwm.Active && mine.Owner == n.Me() && n.signer.Active()
}
