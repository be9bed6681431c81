package failover

import (
	"context"
	"strings"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/hints"
)

// An instance whose disk failed signs nothing more, and can write nothing down. One that was the active one gives no answer but this: what
// it signed last may not be on its disk. One that stands by or is fenced still answers a status: what it knows is as good as it was before
// its disk failed, and the other instance may need the answer to sign again.

// broken is what is wrong with the disk here, for people; empty: nothing.
func (n *Node) broken() string {
	err := n.store.Healthy()
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	return strings.ToValidUTF8(text[:min(len(text), wire.MaxBroken)], "")
}

// takenIn takes in what a question says of the right to sign. Where it cannot be written down, because the disk failed, an instance that
// does not sign answers a status in spite of that: it signs nothing in its life, and asks before it does so in the next one.
func (n *Node) takenIn(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) error {
	if n.broken() == "" {
		return n.heard(ctx, peer, q.Hello)
	}
	err := n.heard(ctx, peer, q.Hello)
	if verb != wire.Status || n.store.Role().Role == hwm.Active {
		return n.diskFails()
	}
	if err != nil {
		n.log.Warn("what the other instance says cannot be kept", "epoch", q.Epoch, "error", err)
	}
	return nil
}

func (n *Node) diskFails() *wire.Refusal {
	return wire.Refuse(wire.DiskFails, verdict.DiskHint(n.Me()), "the disk of the instance %s fails, so it signs nothing and gives nothing away: %s", n.Me().Short(), n.broken())
}

// toldMarks are the marks that the other side is told of: durable ones, or what is known where nothing can be made durable any more.
func (n *Node) toldMarks() ([]wire.Mark, error) {
	if n.broken() == "" {
		return n.durableMarks()
	}
	return marksOf(n.ofChain(n.store.Known()))
}

// diskHere is the line of a checklist for a disk that fails on this side; nil: it works.
func (n *Node) diskHere() []checklist.Line {
	err := n.store.Healthy()
	if err == nil {
		return nil
	}
	return []checklist.Line{checklist.New(checklist.ThisInstance, checklist.Bad, "its disk fails, so it can take nothing: "+err.Error(), hints.Of(err))}
}
