package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/words"
)

// HandoverRequest asks for the right to sign to move from the instance that has it to the other. Either may be asked.
type HandoverRequest struct {
	DryRun bool   `json:"dry_run"` // do everything but the switch
	At     *int32 `json:"at"`      // by level: the old side signs up to it, the new side above
	// Window, when given, is the moment that it is to be made in: else it is refused, or a dry run says so.
	Window *moment.Window `json:"window,omitempty"`

	invited bool // the other side asked for it, since it means to give the right away
}

// Handover is what came of it.
type Handover struct {
	Done     bool             `json:"done"`
	Findings []checklist.Line `json:"findings"`
	From     hwm.InstanceID   `json:"from"`
	To       hwm.InstanceID   `json:"to"`
	Epoch    uint64           `json:"epoch"`            // after it, when done
	Moment   *moment.Moment   `json:"moment,omitempty"` // when a window was asked for
	At       *int32           `json:"at,omitempty"`
	// GapMS is the time from the question to the open gate: nobody signed for no longer than that. Zero for a handover by level.
	GapMS float64 `json:"gap_ms"`
}

// Handover moves the right to sign: to this instance when the other one has it, to the other one (which is invited) when this one
// has. A *Refusal says why not; what was found on the way comes with it.
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
			return Handover{Findings: m.Findings, Moment: &m}, wire.Refuse(wire.BadMoment, "wait for it; or: --now", "%s: %s", f.Name, f.Detail)
		}
		now = &m
	}
	if !n.busy.CompareAndSwap(false, true) {
		return Handover{}, wire.Refuse(wire.NotReady, "wait for it to end", "a handover is under way already")
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
	case out && r.invited: // to invite it back would lead nowhere
		mine := n.store.Role()
		return Handover{}, wire.Refuse(wire.NotOwner, "see on both machines: highwater status; on the one that should sign, the other being fenced or stopped: highwater takeover",
			"both instances say that the right to sign is theirs to give: the instance %s is %s in epoch %d", n.Me().Short(), mine.Role, mine.Epoch)
	case out:
		return n.invite(ctx, peer, r)
	}
	h := Handover{From: peer.Key, To: n.Me(), At: r.At}
	h.Findings = n.plan(ctx, peer, r)
	if f := checklist.Stands(h.Findings); f != nil {
		return h, wire.Refuse(wire.NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	if r.DryRun {
		return h, nil
	}
	return n.take(ctx, peer, h)
}

// outward tells whether a handover that is asked for here moves the right to the other side: this one has it, or gave it away and the other
// one does not know yet. Then a handover was cut off, and goes on.
func (n *Node) outward(ctx context.Context, peer hwm.Peer) (bool, error) {
	mine := n.store.Role()
	if mine.Role == hwm.Active && mine.Owner == n.Me() && !n.signer.Active() { // restarted: the right may be the other one's by now
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

// notArrived tells whether the other side lacks the epoch that it was given. One that took over meanwhile owns another, and signs in it.
func notArrived(mine hwm.RoleRecord, epoch uint64, owner hwm.InstanceID) bool {
	return epoch < mine.Epoch && (epoch == 0 || owner != mine.Owner)
}

// invite asks the other side, which is to sign, to start the handover.
func (n *Node) invite(ctx context.Context, peer hwm.Peer, r HandoverRequest) (Handover, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*releaseTimeout)
	defer cancel()
	q := n.question(peer, "")
	q.DryRun, q.At = r.DryRun, r.At
	a, err := n.link.Call(ctx, peer, wire.Invite, q)
	switch {
	case err != nil && !r.DryRun && wire.AsRefusal(err).Reason == wire.Unreachable:
		return Handover{}, wire.Refuse(wire.Unreachable, "see who may sign: highwater status, on both; then ask again on either, it goes on where it was cut off",
			"the other instance was asked to take over, and its answer did not come: it may sign by now. %v", err)
	case err != nil:
		return Handover{}, err
	case a.Refusal != nil:
		return Handover{}, a.Refusal
	case a.Handover == nil:
		return Handover{}, wire.Refuse(wire.Broken, "see on both machines: highwater status", "the peer did not say what came of the handover")
	}
	if !r.DryRun {
		n.beat(ctx) // so that both know it at once; nothing hangs on it
	}
	return fromWire(*a.Handover), nil
}

// plan looks at everything that a handover to this instance needs. It changes nothing.
func (n *Node) plan(ctx context.Context, peer hwm.Peer, r HandoverRequest) []checklist.Line {
	if broken := n.diskHere(); broken != nil {
		return broken
	}
	a, err := n.Ask(ctx)
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.OtherInstance, orTakeover(err))}
	}
	out := []checklist.Line{n.planPeer(peer, a)}
	keys := n.noteSpares(usableOn(checklist.Keys, a.Status.Keys, a.Status.Marks, n.lackHere, "here"))
	if r.invited {
		keys = usableOn(checklist.Keys, a.Status.Keys, a.Status.Marks, n.lackInvited, "there")
	}
	out = append(out, n.planHere(), n.planClock(), keys, n.planMarks(a.Status.Marks))
	out = append(out, n.ownCeilings()...)
	if n.heads.Chain != nil {
		node, _ := n.heads.Check(ctx)
		out = append(out, node)
	}
	return append(out, n.planThere(ctx, peer, r))
}

// orTakeover adds, to a refusal of an instance that does not answer, the way for one that never will.
func orTakeover(err error) error {
	r := wire.AsRefusal(err)
	if r.Reason != wire.Unreachable {
		return err
	}
	return wire.Refuse(r.Reason, r.Hint+" When that machine is dead, a handover is not possible: see to it that its process does not start again, then, here: highwater takeover",
		"%s", r.Text)
}

// planPeer shows the other side, and whether it has given the right away already: then a handover was cut off, and goes on here.
func (n *Node) planPeer(peer hwm.Peer, a wire.Answer) checklist.Line {
	f := checklist.New(checklist.OtherInstance, checklist.OK, fmt.Sprintf("%s at %s, %s, epoch %d", peer.Key.Short(), peer.Address, a.Role, a.Epoch), "")
	if a.Owner == n.Me() && a.Epoch > n.store.Role().Epoch {
		f.Detail += ": it gave the right to this instance; a handover that was cut off goes on"
	}
	return f
}

func (n *Node) planHere() checklist.Line {
	mine := n.store.Role()
	if mine.Role == hwm.Fenced {
		return checklist.New(checklist.ThisInstance, checklist.Bad, "it is fenced: "+mine.Why, "find out who signed; then: highwater standby")
	}
	return checklist.New(checklist.ThisInstance, checklist.OK, fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch), "")
}

func (n *Node) planClock() checklist.Line {
	n.mu.Lock()
	skew := n.skew
	n.mu.Unlock()
	detail := fmt.Sprintf("they differ by %s", skew.Abs().Round(time.Millisecond))
	if skew.Abs() > maxSkew {
		return checklist.New(checklist.Clocks, checklist.Warning, detail, "nothing here depends on it, but your baker does: timedatectl")
	}
	return checklist.New(checklist.Clocks, checklist.OK, detail, "")
}

// planMarks tells how far the marks here are behind; they come with the certificate in any case.
func (n *Node) planMarks(theirs []wire.Mark) checklist.Line {
	for _, m := range theirs { // the certificate would be refused, with nobody signing
		if err := n.tooFar(m); err != nil {
			return checklist.New(checklist.Marks, checklist.Bad, "the other instance's: "+err.Error(), "look at its marks there: highwater hwm list, and highwater status")
		}
	}
	behind, missing, err := n.behind(theirs)
	if err != nil {
		return checklist.Failed(checklist.Marks, err)
	}
	if missing > 0 {
		return checklist.New(checklist.Marks, checklist.Warning, fmt.Sprintf("%d are not here yet; they come with the handover", missing), "")
	}
	if behind > 2 {
		return checklist.New(checklist.Marks, checklist.Warning, fmt.Sprintf("those here are %s behind; they come with the handover", words.Count(behind, "level")), "")
	}
	return checklist.New(checklist.Marks, checklist.OK, "they follow the other instance's", "")
}

// ownCeilings tells of those that an operator set here: the right to sign does not lift them.
func (n *Node) ownCeilings() []checklist.Line {
	for _, k := range n.signer.Keys() {
		c, ok := n.store.Ceilings()[hwm.CeilingKey{Chain: n.signer.Chain(), PKH: k.PKH}]
		if ok && c.Source != hwm.SourcePeer {
			return []checklist.Line{checklist.New(checklist.Ceilings, checklist.Warning, fmt.Sprintf("an operator's stands here: %s signs nothing above level %d", k.PKH, c.Level), "lift it, at a stopped instance, if nobody else signs above it: highwater hwm ceiling --lift")}
		}
	}
	return nil
}

// behind tells how many levels the marks here are behind, and how many are not here at all.
func (n *Node) behind(theirs []wire.Mark) (levels int64, missing int, err error) {
	for _, m := range theirs {
		st, err := n.store.State(hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind})
		if err != nil {
			return 0, 0, err
		}
		if st.Mark == nil {
			missing++
			continue
		}
		levels = max(levels, int64(m.Level)-int64(st.Mark.Level))
	}
	return levels, missing, nil
}

// wouldRelease asks the other side whether it would give the right away.
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

// planThere shows whether it would. As long as the process before this one may still run, as far as the other side can tell, it says so:
// that passes soon after a start, and is waited for.
func (n *Node) planThere(ctx context.Context, peer hwm.Peer, r HandoverRequest) checklist.Line {
	err := n.wouldRelease(ctx, peer, r.At)
	for try := 0; err != nil && wire.AsRefusal(err).Reason == wire.OtherLife && try < 2*quiet; try++ {
		select {
		case <-time.After(n.every):
			err = n.wouldRelease(ctx, peer, r.At)
		case <-ctx.Done():
			return checklist.Failed(checklist.Release, err)
		}
	}
	if err != nil {
		return checklist.Failed(checklist.Release, err)
	}
	return checklist.New(checklist.Release, checklist.OK, "the other instance would give the right to sign", "")
}

// Asked again when the answer is lost: it is the same then.
const (
	releaseTries = 5
	releaseWait  = 300 * time.Millisecond
)

// take asks for the right until an answer comes, and takes it.
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
		n.beat(ctx) // so that both know it at once; nothing hangs on it
		return h, nil
	}
	return h, wire.Refuse(wire.Unreachable, "ask again on either machine: highwater handover. It goes on where it was cut off: the other instance gives the same answer again. When that machine is dead: highwater takeover, here",
		"the other instance was asked, and its answer did not come: it may have stopped signing, and this one does not sign. %v", err)
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
		n.forget(nonce)
		return nil, err
	case a.Refusal != nil:
		n.forget(nonce)
		return nil, a.Refusal
	case a.Certificate == nil:
		n.forget(nonce)
		return nil, wire.Refuse(wire.Broken, "", "the other instance answered without a certificate")
	}
	return a.Certificate, nil
}
