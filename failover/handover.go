package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
)

// HandoverRequest asks for the right to sign to move from the instance that has it to the other. Either may be asked.
type HandoverRequest struct {
	DryRun bool   `json:"dry_run"` // do everything but the switch
	At     *int32 `json:"at"`      // by level: the old side signs up to it, the new side above
}

// Handover is what came of it.
type Handover struct {
	Done     bool           `json:"done"`
	Findings []Finding      `json:"findings"`
	From     hwm.InstanceID `json:"from"`
	To       hwm.InstanceID `json:"to"`
	Epoch    uint64         `json:"epoch"` // after it, when done
	At       *int32         `json:"at,omitempty"`
	// GapMS is the time from the question to the open gate: nobody signed for no longer than that. Zero for a handover by level.
	GapMS float64 `json:"gap_ms"`
}

// Finding is one line of a checklist.
type Finding struct {
	Name   string `json:"name"`
	Result string `json:"result"` // ok, warning, bad, waiting
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// Results of findings. Bad and Waiting stand in the way.
const (
	OK      = "ok"
	Warning = "warning"
	Bad     = "bad"
	Waiting = "waiting"
)

func stands(findings []Finding) *Finding {
	for i, f := range findings {
		if f.Result == Bad || f.Result == Waiting {
			return &findings[i]
		}
	}
	return nil
}

// Handover moves the right to sign: to this instance when the other one has it, to the other one (which is invited) when this one
// has. A *Refusal says why not; what was found on the way comes with it.
func (n *Node) Handover(ctx context.Context, r HandoverRequest) (Handover, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Handover{}, errNoPeer()
	}
	if !n.busy.CompareAndSwap(false, true) {
		return Handover{}, refuse(NotReady, "wait for it to end", "a handover is under way already")
	}
	defer n.busy.Store(false)
	if mine := n.store.Role(); mine.Owner == n.Me() && mine.Epoch > 0 {
		return n.invite(ctx, peer, r)
	}
	h := Handover{From: peer.Key, To: n.Me(), At: r.At}
	h.Findings = n.plan(ctx, peer, r)
	if f := stands(h.Findings); f != nil {
		return h, refuse(NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	if r.DryRun {
		return h, nil
	}
	return n.take(ctx, peer, h)
}

// invite asks the other side, which is to sign, to start the handover.
func (n *Node) invite(ctx context.Context, peer hwm.Peer, r HandoverRequest) (Handover, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*releaseTimeout)
	defer cancel()
	q := n.question(peer, "")
	q.DryRun, q.At = r.DryRun, r.At
	a, err := n.link.Call(ctx, peer, verbInvite, q)
	switch {
	case err != nil:
		return Handover{}, err
	case a.Refusal != nil:
		return Handover{}, a.Refusal
	case a.Handover == nil:
		return Handover{}, refuse(Broken, "see on both machines: highwater status", "the other instance did not say what came of the handover")
	}
	n.Poke()
	return *a.Handover, nil
}

// plan looks at everything that a handover to this instance needs. It changes nothing.
func (n *Node) plan(ctx context.Context, peer hwm.Peer, r HandoverRequest) []Finding {
	a, err := n.Ask(ctx)
	if err != nil {
		return []Finding{bad("other instance", err)}
	}
	out := []Finding{{Name: "other instance", Result: OK, Detail: fmt.Sprintf("%s at %s, %s, epoch %d", peer.Key.Short(), peer.Address, a.Role, a.Epoch)}}
	out = append(out, n.planHere(), n.planClock(), n.planKeys(a.Status.Keys), n.planMarks(a.Status.Marks))
	if n.chain != nil {
		out = append(out, n.planNode(ctx))
	}
	return append(out, n.planThere(ctx, peer, r))
}

func bad(name string, err error) Finding {
	f := Finding{Name: name, Result: Bad, Detail: err.Error()}
	var h device.Hinter
	if r := asRefusal(err); r.Reason != Broken {
		h = r
		f.Hint = h.HintText()
	}
	return f
}

func (n *Node) planHere() Finding {
	mine := n.store.Role()
	if mine.Role == hwm.Fenced {
		return Finding{"this instance", Bad, "it is fenced: " + mine.Why, "find out who signed; then: highwater standby"}
	}
	return Finding{Name: "this instance", Result: OK, Detail: fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch)}
}

func (n *Node) planClock() Finding {
	n.mu.Lock()
	skew := n.skew
	n.mu.Unlock()
	detail := fmt.Sprintf("they differ by %s", skew.Abs().Round(time.Millisecond))
	if skew.Abs() > maxSkew {
		return Finding{"clocks", Warning, detail, "nothing here depends on it, but your baker does: timedatectl"}
	}
	return Finding{Name: "clocks", Result: OK, Detail: detail}
}

// planKeys wants every key of the other side to be usable here.
func (n *Node) planKeys(theirs []KeyReport) Finding {
	ready := map[string]string{}
	for _, k := range n.keyReports() {
		ready[k.PKH.String()] = k.Health
	}
	for _, k := range theirs {
		health, ok := ready[k.PKH.String()]
		if !ok {
			return Finding{"keys", Bad, fmt.Sprintf("%s is not known here", k.PKH), "connect the device that holds it, and see: highwater keys list"}
		}
		if health != string(device.Ready) {
			return Finding{"keys", Bad, fmt.Sprintf("%s is %s here", k.PKH, health), "see: highwater status"}
		}
	}
	if len(theirs) == 0 {
		return Finding{"keys", Bad, "the other instance knows no key", "connect its devices"}
	}
	return Finding{Name: "keys", Result: OK, Detail: fmt.Sprintf("all %d are usable here", len(theirs))}
}

// planMarks tells how far the marks here are behind; they come with the certificate in any case.
func (n *Node) planMarks(theirs []Mark) Finding {
	behind, missing := int64(0), 0
	for _, m := range theirs {
		st, err := n.store.State(hwm.Key{Chain: n.signer.Chain(), PKH: m.PKH, Kind: m.Kind})
		if err != nil {
			return bad("marks", err)
		}
		if st.Mark == nil {
			missing++
			continue
		}
		behind = max(behind, int64(m.Level)-int64(st.Mark.Level))
	}
	if missing > 0 {
		return Finding{"marks", Warning, fmt.Sprintf("%d are not here yet; they come with the handover", missing), ""}
	}
	if behind > 2 {
		return Finding{"marks", Warning, fmt.Sprintf("those here are %d levels behind; they come with the handover", behind), ""}
	}
	return Finding{Name: "marks", Result: OK, Detail: "they follow the other instance's"}
}

func (n *Node) planNode(ctx context.Context) Finding {
	h, err := n.chain.Head(ctx)
	switch {
	case err != nil:
		return Finding{"node", Bad, err.Error(), "see `node` in the configuration, and the node's log"}
	case h.Chain != n.signer.Chain():
		return Finding{"node", Bad, fmt.Sprintf("the node follows %s, not %s", h.Chain, n.signer.Chain()), "see `node` in the configuration"}
	case !h.Synced:
		return Finding{"node", Bad, h.Detail, "wait until it has caught up"}
	}
	return Finding{Name: "node", Result: OK, Detail: fmt.Sprintf("in step, at level %d", h.Level)}
}

// planThere asks the other side whether it would give the right away.
func (n *Node) planThere(ctx context.Context, peer hwm.Peer, r HandoverRequest) Finding {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	q := n.question(peer, "")
	q.DryRun, q.At = true, r.At
	a, err := n.link.Call(ctx, peer, verbRelease, q)
	if err == nil && a.Refusal != nil {
		err = a.Refusal
	}
	if err != nil {
		return bad("release", err)
	}
	return Finding{Name: "release", Result: OK, Detail: "the other instance would give the right to sign"}
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
		var c *Certificate
		if c, err = n.askRelease(ctx, peer, h.At); err != nil {
			if asRefusal(err).Reason != Unreachable {
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
	return h, refuse(Unreachable, "ask again: highwater handover. Nothing is lost: the other instance gives the same answer again",
		"the other instance was asked, and its answer did not come: it may have stopped signing. %v", err)
}

func (n *Node) askRelease(ctx context.Context, peer hwm.Peer, at *int32) (*Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	nonce := n.newNonce(verbRelease)
	q := n.question(peer, nonce)
	q.At = at
	a, err := n.link.Call(ctx, peer, verbRelease, q)
	switch {
	case err != nil:
		n.forget(nonce)
		return nil, err
	case a.Refusal != nil:
		n.forget(nonce)
		return nil, a.Refusal
	case a.Certificate == nil:
		n.forget(nonce)
		return nil, refuse(Broken, "", "the other instance answered without a certificate")
	}
	return a.Certificate, nil
}

// Release makes a certificate by level for the other instance, to be carried in a file. This side signs on, up to the level.
func (n *Node) Release(ctx context.Context, at int32) (*Certificate, error) {
	n.act.Lock()
	defer n.act.Unlock()
	peer, ok := n.store.Peer()
	if !ok {
		return nil, errNoPeer()
	}
	q := Question{Hello: Hello{From: peer.Key, Epoch: peer.Seen}, At: &at}
	c, err := n.release(context.WithoutCancel(ctx), peer, q)
	if err != nil {
		return nil, err
	}
	if c.Level == nil {
		return nil, refuse(NotOwner, "ask for it there: highwater handover", "epoch %d was given to the other instance already, live", c.Epoch)
	}
	n.Poke()
	return c, nil
}

// Accept takes the right to sign from a certificate in a file. head is where the chain is, when no node is configured to say it.
func (n *Node) Accept(ctx context.Context, c *Certificate, head *int32) (hwm.RoleRecord, error) {
	if c.Nonce != "" {
		return hwm.RoleRecord{}, refuse(OldAnswer, "highwater release --at LEVEL --out FILE, on the other machine", "this certificate was an answer; it is not for a file")
	}
	if n.chain != nil {
		f := n.planNode(ctx)
		if f.Result != OK {
			return hwm.RoleRecord{}, refuse(NotReady, f.Hint, "node: %s", f.Detail)
		}
		h, err := n.chain.Head(ctx)
		if err != nil {
			return hwm.RoleRecord{}, err
		}
		head = &h.Level
	}
	if err := n.onCertificate(ctx, c, head); err != nil {
		return hwm.RoleRecord{}, err
	}
	n.Poke()
	return n.store.Role(), nil
}
