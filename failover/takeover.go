package failover

import (
	"context"
	"errors"
	"fmt"
	"math"

	"highwater/hwm"
	"highwater/internal/tezos"
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
	Why  string `json:"why"`
}

// Takeover is the checklist, and what came of it.
type Takeover struct {
	Done     bool      `json:"done"`
	Ready    bool      `json:"ready"` // nothing stands in the way
	Findings []Finding `json:"findings"`
	Epoch    uint64    `json:"epoch"`  // that it makes
	Floor    int32     `json:"floor"`  // nothing at or below it is signed
	Reason   string    `json:"reason"` // of the floor
}

// Margin is what a takeover stays above all that is known, in levels.
const Margin = 10

// Takeover gathers the evidence, and takes the right when nothing stands in the way (rules 8 and 9). Without Check, a *Refusal says
// what does.
func (n *Node) Takeover(ctx context.Context, r TakeoverRequest) (Takeover, error) {
	peer, ok := n.store.Peer()
	if !ok {
		return Takeover{}, refuse(NoPeer, "highwater activate", "no other instance is configured: there is nothing to take over from")
	}
	t := Takeover{}
	t.Findings = append(t.Findings, n.evidencePeer(ctx, peer), stated(r), n.evidenceHere(), n.evidenceKeys())
	silence, node := n.evidenceChain(ctx, &r)
	t.Findings = append(t.Findings, node...)
	if out := n.evidenceCertificate(r); out != nil {
		t.Findings = append(t.Findings, *out)
	}
	if err := n.floor(&t, silence, r.Head); err != nil {
		return t, err
	}
	t.Epoch = n.nextEpoch()
	f := stands(t.Findings)
	t.Ready = f == nil
	if r.Check {
		return t, nil
	}
	if f != nil {
		return t, refuse(NotReady, f.Hint, "%s: %s", f.Name, f.Detail)
	}
	return n.takeOver(ctx, t, r)
}

// takeOver is the step itself.
func (n *Node) takeOver(ctx context.Context, t Takeover, r TakeoverRequest) (Takeover, error) {
	if !r.CannotSign {
		return t, refuse(Unstated, statementHint, "nobody stated that the other instance cannot sign")
	}
	n.act.Lock()
	defer n.act.Unlock()
	if n.signsHere() {
		return t, refuse(IsActive, "", "this instance signs already")
	}
	n.forgetAll() // an answer that is still under way is of a time before this
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
	if peer, ok := n.store.Peer(); ok {
		known = max(known, peer.Seen)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.said != nil {
		known = max(known, n.said.Epoch)
	}
	return known + 2
}

// takeoverFloors cover all keys that are known here, and all that have a mark.
func (n *Node) takeoverFloors(level int32) []hwm.Row {
	floors := n.signer.Floors(level, hwm.SourceTakeover)
	rows, err := n.store.Rows()
	if err != nil {
		return floors // the write that follows fails on the same store
	}
	for _, r := range rows {
		if r.Chain == n.signer.Chain() {
			floors = append(floors, hwm.Row{Key: r.Key, Mark: hwm.Floor(level, n.now(), hwm.SourceTakeover)})
		}
	}
	return floors
}

// floor is the margin above all that is known.
func (n *Node) floor(t *Takeover, s *Silence, head *int32) error {
	level, err := n.highest()
	if err != nil {
		return err
	}
	t.Reason = "the highest mark here"
	if followed := n.highestSaid(); followed > level {
		level, t.Reason = followed, "the highest mark of the other instance"
	}
	if head != nil && *head > level {
		level, t.Reason = *head, "the head that the operator stated"
	}
	if s != nil && s.Head > level {
		level, t.Reason = s.Head, "the chain's head"
	}
	if s != nil && s.LastOwn > level {
		level, t.Reason = s.LastOwn, "the last operation of ours on chain"
	}
	if level > math.MaxInt32-Margin || level < 0 {
		return refuse(BadLevel, "set the marks first: highwater hwm set", "there is no level to start from")
	}
	t.Reason = fmt.Sprintf("%d, %s, and a margin of %d", level, t.Reason, Margin)
	t.Floor = level + Margin
	return nil
}

// highestSaid is the highest level that the other instance told of; -1 when it told of none.
func (n *Node) highestSaid() int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	highest := int32(-1)
	if n.said != nil && n.said.Status != nil {
		for _, m := range n.said.Status.Marks {
			highest = max(highest, m.Level)
		}
	}
	return highest
}

// evidencePeer looks whether the other instance answers: one that does can hand over.
func (n *Node) evidencePeer(ctx context.Context, peer hwm.Peer) Finding {
	const name = "other instance"
	a, err := n.Ask(ctx)
	if err != nil && a.From != peer.Key {
		return Finding{Name: name, Result: OK, Detail: "it does not answer: " + err.Error()}
	}
	mine := n.store.Role()
	switch {
	case n.signsHere():
		return Finding{name, Bad, "this instance signs already", ""}
	case a.Signing:
		return Finding{name, Bad, "it answers, and it signs", "highwater handover"}
	case a.Role != hwm.Fenced && (a.Owner == peer.Key || a.Owner == n.Me() && a.Epoch > mine.Epoch && mine.Role != hwm.Active):
		return Finding{name, Bad, fmt.Sprintf("it answers (%s, epoch %d), and can give the right to sign with proof", a.Role, a.Epoch), "highwater handover"}
	}
	return Finding{Name: name, Result: OK, Detail: fmt.Sprintf("it answers (%s, epoch %d), does not sign, and cannot hand over", a.Role, a.Epoch)}
}

const statementHint = "stop its process or unplug its devices, be sure that neither comes back by itself, then: --the-other-instance-cannot-sign"

func stated(r TakeoverRequest) Finding {
	const name = "statement"
	if !r.CannotSign {
		return Finding{name, Waiting, "nobody stated that the other instance cannot sign", statementHint}
	}
	return Finding{Name: name, Result: OK, Detail: "the operator states that the other instance cannot sign"}
}

// evidenceHere shows the role from which it starts; a fence is lifted by this.
func (n *Node) evidenceHere() Finding {
	mine := n.store.Role()
	f := Finding{Name: "this instance", Result: OK, Detail: fmt.Sprintf("%s, epoch %d", mine.Role, mine.Epoch)}
	if mine.Role == hwm.Fenced {
		f.Result, f.Detail, f.Hint = Warning, "it is fenced: "+mine.Why, "the takeover ends the fence: know why it was there"
	}
	return f
}

func (n *Node) evidenceKeys() Finding {
	const name = "devices"
	reports := n.keyReports()
	for _, k := range reports {
		if k.Health != "ready" {
			return Finding{name, Bad, fmt.Sprintf("%s is %s", k.PKH, k.Health), "see: highwater status"}
		}
	}
	if len(reports) == 0 {
		return Finding{name, Bad, "no key is known here", "connect the device that holds the keys"}
	}
	return Finding{Name: name, Result: OK, Detail: fmt.Sprintf("all %d keys are usable", len(reports))}
}

// evidenceChain looks at the node and at the silence of our keys.
func (n *Node) evidenceChain(ctx context.Context, r *TakeoverRequest) (*Silence, []Finding) {
	if n.chain == nil {
		if r.Head == nil {
			return nil, []Finding{{"node", Bad, "no node is configured, so nobody says where the chain is", "set `node` in the configuration, or say it: --head LEVEL"}}
		}
		return nil, []Finding{{"node", Warning, fmt.Sprintf("none is configured; the operator states that the chain is at level %d", *r.Head), ""}}
	}
	node := n.planNode(ctx)
	if node.Result != OK {
		return nil, []Finding{node}
	}
	s, err := n.chain.Silence(ctx, n.pkhs())
	if err != nil {
		return nil, []Finding{node, {"silence", Bad, err.Error(), "see the node's log"}}
	}
	f := Finding{Name: "silence", Result: OK, Detail: fmt.Sprintf("our keys were silent at the last %d levels at which they had rights", s.Silent)}
	if s.LastOwn >= 0 {
		f.Detail += fmt.Sprintf("; last seen at level %d", s.LastOwn)
	}
	if s.Silent < r.Silence {
		f.Result = Waiting
		f.Detail += fmt.Sprintf("; %d are wanted", r.Silence)
		f.Hint = "wait; or state less: --silence 0"
	}
	return &s, []Finding{node, f}
}

func (n *Node) pkhs() []tezos.PublicKeyHash {
	var out []tezos.PublicKeyHash
	for _, k := range n.signer.Keys() {
		out = append(out, k.PKH)
	}
	return out
}

// evidenceCertificate asks for the certificate that this side gave away by level: it could still be used.
func (n *Node) evidenceCertificate(r TakeoverRequest) *Finding {
	keys, level := n.givenAway()
	if len(keys) == 0 {
		return nil
	}
	const name = "certificate"
	if !r.CertificateDestroyed {
		return &Finding{
			name, Waiting, fmt.Sprintf("this instance gave the right away from level %d on; whoever has that certificate can still use it", level+1),
			"destroy it and its copies, then: --the-certificate-is-destroyed",
		}
	}
	return &Finding{Name: name, Result: OK, Detail: "the operator states that it is destroyed"}
}

// IsRefusal tells a decision from a breakage.
func IsRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}
