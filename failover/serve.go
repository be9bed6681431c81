package failover

import (
	"context"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// Server answers the other instance.
func (n *Node) Server() *wire.Server { return n.server }

// host is the node as its server sees it.
type host struct{ node *Node }

var _ wire.Host = host{}

func (h host) Hello() wire.Hello { return h.node.hello() }

func (h host) Handle(ctx context.Context, verb string, q wire.Question) wire.Answer {
	return h.node.handle(ctx, verb, q)
}

func (h host) Marks() ([]wire.Mark, error) { return h.node.durableMarks() }

func (n *Node) newServer() *wire.Server {
	return wire.NewServer(wire.ServerConfig{
		Host: host{n}, Identity: n.store.Identity(), Pinned: n.pinned, Count: &n.count, Ended: n.stopped,
	})
}

func (n *Node) pinned() (hwm.InstanceID, bool) {
	peer, ok := n.store.Peer()
	return peer.Key, ok
}

// toWire is a handover as the other instance is told of it. A handover by invitation has no moment, and each of its lines has its ID for a name.
func toWire(h Handover) *wire.Handover {
	out := &wire.Handover{Done: h.Done, From: h.From, To: h.To, Epoch: h.Epoch, At: h.At, GapMS: h.GapMS}
	for _, f := range h.Findings {
		out.Findings = append(out.Findings, wire.Finding{Name: string(f.ID), Result: string(f.Result), Detail: f.Detail, Hint: f.Hint})
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
