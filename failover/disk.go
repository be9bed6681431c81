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

// An instance whose disk failed signs nothing more, and can write nothing down. An active instance gives no answer but
// this: its last signature may not be on its disk. A standby or fenced instance still answers a status: its knowledge
// is as good as before the disk failed, and the peer may need the answer to sign again.

// broken tells the fault of the disk here, for people; empty: no fault.
func (n *Node) broken() string {
	err := n.store.Healthy()
	if err == nil {
		return ""
	}
	text := strings.ToValidUTF8(err.Error(), "?")
	return strings.ToValidUTF8(text[:min(len(text), wire.MaxBroken)], "")
}

// applyQuestion takes in the part of a question about the right to sign. While the disk fails, nothing of the question
// can be kept. An instance that does not sign answers a status all the same: the instance signs nothing in its life,
// and in its next life asks before the first signature.
func (n *Node) applyQuestion(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) error {
	if n.broken() == "" {
		return n.applyHello(ctx, peer, q.Hello)
	}
	err := n.applyHello(ctx, peer, q.Hello)
	if verb != wire.Status || n.store.Role().Role == hwm.Active {
		return n.diskFails()
	}
	if err != nil {
		n.log.Warn("the peer's words cannot be kept", "epoch", q.Epoch, "error", err)
	}
	return nil
}

func (n *Node) diskFails() *wire.Refusal {
	return wire.Refuse(wire.DiskFails, verdict.DiskHint(n.Me()),
		"the disk of the instance %s fails; the instance signs nothing and gives nothing away: "+
			"%s", n.Me().Short(), n.broken())
}

// diskHere is the line of a checklist for a failed disk on this side; nil: the disk works.
func (n *Node) diskHere() []checklist.Line {
	err := n.store.Healthy()
	if err == nil {
		return nil
	}
	return []checklist.Line{checklist.New(checklist.ThisInstance, checklist.Bad,
		"the disk fails, and nothing can be taken here: "+err.Error(), hints.Of(err))}
}
