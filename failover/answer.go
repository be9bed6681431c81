package failover

import (
	"context"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
)

// handle is this side's answer to a question that came from the pinned key of the other instance.
func (n *Node) handle(ctx context.Context, verb string, q wire.Question) wire.Answer {
	if n.greet(ctx, q) == nil && mayBeCopy(verb, q) {
		n.lookFor(ctx, q)
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
	if err != nil && !wire.IsRefusal(err) && n.broken() != "" { // it failed in the middle of the step
		err = n.diskFails()
	}
	if err != nil {
		return wire.Answer{Hello: n.hello(), Nonce: q.Nonce, Refusal: wire.AsRefusal(err)}
	}
	return a
}

// greet takes in which process asks.
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
		return a, wire.Refuse(wire.WrongKey, "compare with: highwater peer show", "the question is for the instance %s, this one is %s", q.To.Short(), n.Me().Short())
	}
	if err = n.plausible(peer, q.Seen); err != nil {
		return a, err
	}
	if err = n.takenIn(ctx, peer, verb, q); err != nil {
		return a, err
	}
	if r := n.sameKey(); r != nil {
		return a, r
	}
	if mayBeCopy(verb, q) {
		if err = n.alone(q); err != nil {
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
		err = fmt.Errorf("an unknown question %q", verb)
	}
	a.Hello, a.Nonce = n.hello(), q.Nonce
	return a, err
}

// report is what the other side is told. It is made after heard: marks of a side that was just fenced are final.
func (n *Node) report(peer hwm.Peer) (*wire.Report, error) {
	marks, err := n.toldMarks()
	if err != nil {
		return nil, err
	}
	r := n.store.Role()
	return &wire.Report{
		Why: r.Why, Since: r.Since, Seen: peer.Seen, Activating: n.activating.Load() > 0, Marks: marks, Keys: n.keyReports(),
		Head: n.heads.told.Load(), Build: n.build, SignsUpTo: n.signsUpTo(r),
	}, nil
}

// durableMarks are all marks of our chain, as they are on disk by now.
func (n *Node) durableMarks() ([]wire.Mark, error) {
	rows, err := n.rows()
	if err != nil {
		return nil, err
	}
	if _, err := n.store.Raise(nil); err != nil { // returns when all that is in memory is durable
		return nil, err
	}
	return marksOf(rows)
}

func marksOf(rows []hwm.Row) ([]wire.Mark, error) {
	marks := []wire.Mark{}
	for _, r := range rows {
		marks = append(marks, wire.Mark{PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round, Source: r.Source.Told()})
	}
	if len(marks) > wire.MaxMarks {
		return nil, fmt.Errorf("%d marks are more than can be told", len(marks))
	}
	return marks, nil
}
