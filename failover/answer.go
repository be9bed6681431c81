package failover

import (
	"context"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// handle answers a question from the pinned key of the peer.
func (n *Node) handle(ctx context.Context, verb string, q wire.Question) wire.Answer {
	if n.greet(ctx, q) == nil && mayBeCopy(verb, q) {
		n.askBack(ctx, q)
		if verb == wire.Release {
			n.lookAtKeys(ctx)
		}
	}
	a, err := n.step(context.WithoutCancel(ctx), verb, q)
	if verb == wire.Release && !q.DryRun {
		n.Poke()
	}
	if err == nil && verb == wire.Invite {
		var h Handover
		if h, err = n.Handover(ctx, HandoverRequest{DryRun: q.DryRun, At: q.At, invited: true}); err == nil {
			a.Handover = toWire(h)
		}
		a.Hello = n.hello()
	}
	if err != nil && !wire.IsRefusal(err) && n.broken() != "" { // the disk failed in the middle of the step
		err = n.diskFails()
	}
	if err != nil {
		return wire.Answer{Hello: n.hello(), Nonce: q.Nonce, Refusal: wire.AsRefusal(err)}
	}
	return a
}

// greet takes in the name of the asking process.
func (n *Node) greet(ctx context.Context, q wire.Question) error {
	n.begin()
	defer n.end()
	_, err := n.check(q.Hello)
	if from, ok := wire.AcceptedAt(ctx); ok && err == nil {
		n.spoke(q.Life, from, false)
	}
	return err
}

func (n *Node) step(ctx context.Context, verb string, q wire.Question) (a wire.Answer, err error) {
	n.begin()
	defer n.end()
	peer, err := n.check(q.Hello)
	if err != nil {
		return a, err
	}
	if q.To != n.Me() {
		return a, wire.Refuse(wire.WrongKey, "compare with: highwater peer show",
			"the question is for the instance %s, and the question came to the instance %s", q.To.Short(), n.Me().Short())
	}
	if err = n.epochs.plausible(peer, q.Seen); err != nil {
		return a, err
	}
	if err = n.applyQuestion(ctx, peer, verb, q); err != nil {
		return a, err
	}
	if r := n.sameKey(); r != nil {
		return a, r
	}
	if mayBeCopy(verb, q) {
		if err = n.refuseBeside(q); err != nil {
			return a, err
		}
	}
	peer, _ = n.store.Peer()
	switch verb {
	case wire.Status, wire.Follow:
		a.Status, err = n.report(peer)
	case wire.Release:
		a.Certificate, err = n.release(ctx, peer, q, n.fitThere)
	case wire.Invite:
	default:
		err = wire.Refuse(wire.WrongVersion, "run the same version of highwater on both machines",
			"an unknown question %q", verb)
	}
	a.Hello, a.Nonce = n.hello(), q.Nonce
	return a, err
}

// report is the answer to a status. The report is made after applyQuestion: the marks of a newly fenced instance are
// final.
func (n *Node) report(peer hwm.Peer) (*wire.Report, error) {
	told, err := n.marks.Told()
	if err != nil {
		return nil, err
	}
	r := n.store.Role()
	return &wire.Report{
		Why: r.Why, Since: r.Since, Seen: peer.Seen, Activating: n.activating.Load() > 0, Marks: told, Keys: n.keys.Reports(),
		Head: n.heads.Told(), Build: n.build, SignsUpTo: n.marks.SignsUpTo(r),
	}, nil
}

// Server answers the peer.
func (n *Node) Server() *wire.Server { return n.server }

// host is the node as the server sees the node.
type host struct{ node *Node }

var _ wire.Host = host{}

func (h host) Hello() wire.Hello { return h.node.hello() }

func (h host) Handle(ctx context.Context, verb string, q wire.Question) wire.Answer {
	return h.node.handle(ctx, verb, q)
}

func (h host) Marks() ([]wire.Mark, error) { return h.node.marks.Durable() }

func (n *Node) newServer() *wire.Server {
	return wire.NewServer(wire.ServerConfig{
		Host: host{n}, Identity: n.store.Identity(), Pinned: n.pinned, Count: &n.count, Ended: n.stopped,
	})
}

func (n *Node) pinned() (hwm.InstanceID, bool) {
	peer, ok := n.store.Peer()
	return peer.Key, ok
}

// toWire makes the peer's answer from a handover. A handover by invitation has no moment, and the name of each line is
// the ID of the line.
func toWire(h Handover) *wire.Handover {
	out := &wire.Handover{Done: h.Done, From: h.From, To: h.To, Epoch: h.Epoch, At: h.At, GapMS: h.GapMS}
	for _, f := range h.Findings {
		out.Findings = append(out.Findings,
			wire.Finding{Name: string(f.ID), Result: string(f.Result), Detail: f.Detail, Hint: f.Hint})
	}
	return out
}

func fromWire(h wire.Handover) Handover {
	out := Handover{Done: h.Done, From: h.From, To: h.To, Epoch: h.Epoch, At: h.At, GapMS: h.GapMS}
	for _, f := range h.Findings {
		out.Findings = append(out.Findings, checklist.New(checklist.ID(f.Name), checklist.Result(f.Result), f.Detail, f.Hint))
	}
	return out
}
