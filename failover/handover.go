package failover

import (
	"context"
	"time"

	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// HandoverRequest asks for the right to sign to move from its owner to the peer of its owner. Either instance may be
// asked.
type HandoverRequest struct {
	DryRun bool   `json:"dry_run"` // do everything but the switch
	At     *int32 `json:"at"`      // by level: the old side signs up to At, the new side above
	// Window, when given, wants a good moment: without a good moment the handover is refused, and a dry run says why.
	Window *moment.Window `json:"window,omitempty"`
	// To is the instance that is to take the right from here, with a register; null: any ready instance. A pair has no
	// choice.
	To *hwm.InstanceID `json:"to,omitempty"`

	invited bool // the peer asked, since the peer means to give the right away
}

// Handover is the result.
type Handover struct {
	Done     bool             `json:"done"`
	Findings []checklist.Line `json:"findings"`
	From     hwm.InstanceID   `json:"from"`
	To       hwm.InstanceID   `json:"to"`
	Epoch    uint64           `json:"epoch"`            // the new epoch, when done
	Moment   *moment.Moment   `json:"moment,omitempty"` // when a window was asked for
	At       *int32           `json:"at,omitempty"`
	// GapMS is the time from the question to the open gate: nobody signed for no longer than GapMS. Zero for a handover by
	// level.
	GapMS float64 `json:"gap_ms"`
}

// Handover moves the right to sign: to this instance when the peer has the right, and else to the peer, by an
// invitation. A *Refusal says why not; the findings on the way come with the refusal.
func (n *Node) Handover(ctx context.Context, r HandoverRequest) (Handover, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Handover{}, wire.RefuseNoPeer()
	}
	var now *moment.Moment
	if r.Window != nil {
		m, err := n.Moment(ctx, *r.Window)
		if err != nil {
			return Handover{}, err
		}
		if f := m.Finding(); !r.DryRun && !m.Good {
			return Handover{Findings: m.Findings, Moment: &m}, wire.Refuse(wire.BadMoment, "wait for a good moment; or: --now",
				"%s: %s", f.Name, f.Detail)
		}
		now = &m
	}
	if !n.busy.CompareAndSwap(false, true) {
		return Handover{}, wire.Refuse(wire.NotReady, "wait until the handover has ended", "a handover is under way already")
	}
	defer n.busy.Store(false)
	h, err := n.handover(ctx, peer, r)
	if now != nil {
		h.Moment = now
		h.Findings = append(h.Findings, now.Finding())
	}
	return h, err
}

func (n *Node) handover(ctx context.Context, peer hwm.Peer, r HandoverRequest) (Handover, error) {
	out, err := n.outward(ctx, peer)
	if err != nil {
		return Handover{}, err
	}
	switch {
	case out && r.invited: // an invitation back would lead nowhere
		mine := n.store.Role()
		return Handover{}, wire.Refuse(wire.NotOwner,
			"see on both machines: highwater status; with either instance fenced or stopped, on the "+
				"machine of your choice: highwater takeover",
			"both instances claim the right to sign: the instance %s is %s in epoch %d", n.Me().Short(), mine.Role, mine.Epoch)
	case out:
		return n.invite(ctx, peer, r)
	}
	h := Handover{From: peer.Key, To: n.Me(), At: r.At}
	h.Findings = n.plan(ctx, peer, r)
	if f := checklist.Stands(h.Findings); f != nil {
		return h, standsInTheWay(*f)
	}
	if r.DryRun {
		return h, nil
	}
	return n.take(ctx, peer, h)
}

// outward tells whether a handover at this instance moves the right to the peer: this side has the right, or gave the
// right away and the peer does not know yet. In the second case a handover was cut off, and goes on.
func (n *Node) outward(ctx context.Context, peer hwm.Peer) (bool, error) {
	mine := n.store.Role()
	// restarted: the right may be the peer's by now
	if mine.Role == hwm.Active && mine.Owner == n.Me() && !n.signer.Active() {
		if _, err := n.Ask(ctx); err != nil {
			return false, orTakeover(err)
		}
		mine = n.store.Role()
	}
	if mine.Owner != peer.Key {
		return mine.Owner == n.Me() && mine.Epoch > 0, nil
	}
	a, err := n.Ask(ctx)
	return err == nil && notArrived(mine, a.Epoch, a.Owner), nil
}

// notArrived tells whether the peer lacks the epoch that the peer was given. After a takeover of its own meanwhile, the
// peer owns a different epoch, and signs in that epoch.
func notArrived(mine hwm.RoleRecord, epoch uint64, owner hwm.InstanceID) bool {
	return epoch < mine.Epoch && (epoch == 0 || owner != mine.Owner)
}

// invite asks the peer, the next signer, to start the handover.
func (n *Node) invite(ctx context.Context, peer hwm.Peer, r HandoverRequest) (Handover, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*releaseTimeout)
	defer cancel()
	q := n.question(peer, "")
	q.DryRun, q.At = r.DryRun, r.At
	a, err := n.link.Call(ctx, peer, wire.Invite, q)
	switch {
	case err != nil && !r.DryRun && wire.AsRefusal(err).Reason == wire.Unreachable:
		return Handover{}, wire.Refuse(wire.Unreachable,
			"see the owner of the right: highwater status, on both; ask again on either machine: the handover goes "+
				"on where it was cut off",
			"the peer was asked to take over, and no answer came: the peer may sign by now. %v", err)
	case err != nil:
		return Handover{}, err
	case a.Refusal != nil:
		return Handover{}, a.Refusal
	case a.Handover == nil:
		return Handover{}, wire.Refuse(wire.Broken, "see on both machines: highwater status",
			"the peer did not tell the result of the handover")
	}
	if !r.DryRun {
		n.beat(ctx) // both know the result at once; nothing depends on the question
	}
	return fromWire(*a.Handover), nil
}

// wouldRelease asks the peer whether it would give the right away.
func (n *Node) wouldRelease(ctx context.Context, peer hwm.Peer, at *int32) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	q := n.question(peer, "")
	q.DryRun, q.At = true, at
	a, err := n.link.Call(ctx, peer, wire.Release, q)
	if err == nil && a.Refusal != nil {
		return a.Refusal
	}
	return err
}

// A release is asked for again when its answer is lost: the second answer is the same.
const (
	releaseTries = 5
	releaseWait  = 300 * time.Millisecond
)

// take asks for the right until an answer comes, and takes the right.
func (n *Node) take(ctx context.Context, peer hwm.Peer, h Handover) (Handover, error) {
	start := time.Now()
	var err error
	for try := range releaseTries {
		if try > 0 {
			select {
			case <-time.After(releaseWait):
			case <-ctx.Done():
				return h, ctx.Err()
			}
		}
		var c *wire.Certificate
		if c, err = n.askRelease(ctx, peer, h.At); err != nil {
			if wire.AsRefusal(err).Reason != wire.Unreachable {
				return h, err
			}
			continue
		}
		if err = n.onCertificate(ctx, c, nil); err != nil {
			return h, err
		}
		h.Done, h.Epoch, h.At = true, c.Epoch, c.Level
		if c.Level == nil {
			h.GapMS = float64(time.Since(start).Microseconds()) / 1000
		}
		n.log.Info("handed over", "from", c.From.Short(), "epoch", c.Epoch, "gap_ms", h.GapMS)
		n.beat(ctx) // both know the result at once; nothing depends on the question
		return h, nil
	}
	return h, wire.Refuse(wire.Unreachable,
		"ask again on either machine: highwater handover. The handover goes on where it was cut off: the peer "+
			"gives the same answer again. When the peer's machine is dead: highwater takeover, here",
		"the peer was asked, and no answer came: the peer may have stopped signing, and this instance does not sign. %v", err)
}

func (n *Node) askRelease(ctx context.Context, peer hwm.Peer, at *int32) (*wire.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	nonce := n.newNonce(wire.Release)
	q := n.question(peer, nonce)
	q.At = at
	a, err := n.link.Call(ctx, peer, wire.Release, q)
	switch {
	case err != nil:
	case a.Refusal != nil:
		err = a.Refusal
	case a.Certificate == nil:
		err = wire.Refuse(wire.Broken, "", "the peer answered without a certificate")
	default:
		return a.Certificate, nil
	}
	n.questions.Drop(nonce)
	return nil, err
}
