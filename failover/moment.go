package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/failover/keys"
	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// lookTimeout bounds one look at the node and at the peer.
const lookTimeout = 30 * time.Second

// Moment tells whether now is a good moment. Moment changes nothing, and may be asked each second.
func (n *Node) Moment(ctx context.Context, w moment.Window) (moment.Moment, error) {
	if err := w.Check(); err != nil {
		return moment.Moment{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	look := moment.Look{
		Window: w, Active: n.store.Role().Role == hwm.Active, Keys: n.keys.PKHs(), Marks: n.marks.Durable,
	}
	if n.heads.Chain != nil {
		look.Node = &n.heads
	}
	var found []checklist.Line
	if _, paired := n.store.Peer(); paired && !w.Alone {
		var f checklist.Line
		f, look.Peer = n.momentPeer(ctx)
		found = append(found, f)
	}
	silent := look.Peer != nil && !look.Peer.Signing
	if !n.signer.Active() && (len(found) == 0 || silent) {
		return moment.Nobody(found), nil
	}
	if look.Peer != nil {
		found = append(found, n.momentKeys(look.Peer))
	}
	return look.Judge(ctx, found), nil
}

// Quiet tells whether no block of the keys here is near. The look asks no peer. found are the earlier lines.
func (n *Node) Quiet(ctx context.Context, w moment.Window, found []checklist.Line) (moment.Moment, error) {
	if err := w.Check(); err != nil {
		return moment.Moment{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	look := moment.Look{Window: w, Keys: n.keys.PKHs(), Marks: n.marks.Durable}
	if n.heads.Chain != nil {
		look.Node = &n.heads
	}
	return look.Judge(ctx, found), nil
}

// momentPeer asks the peer. The answer is nil when the peer does not answer.
func (n *Node) momentPeer(ctx context.Context) (checklist.Line, *wire.Answer) {
	const id = checklist.OtherInstance
	a, err := n.Ask(ctx)
	if err != nil {
		return checklist.Failed(id, err).OrWait(), nil
	}
	if a.Role == hwm.Fenced {
		return checklist.New(id, checklist.Bad, "fenced: "+a.Status.Why,
			"find the second signer of the keys; afterwards, on the peer's machine: highwater standby"), &a
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("answers: %s, epoch %d", a.Role, a.Epoch), ""), &a
}

// momentKeys wants each key of the signing instance to be usable at the second instance.
func (n *Node) momentKeys(said *wire.Answer) checklist.Line {
	const id = checklist.Devices
	if said.Signing {
		return keys.Usable(id, said.Status.Keys, said.Status.Marks, n.keys.Lack, "here").OrWait()
	}
	marks, err := n.marks.Durable()
	if err != nil {
		return checklist.Failed(id, err).OrWait()
	}
	return keys.Usable(id, n.keys.Reports(), marks, keys.There(said.Status.Keys), "there").OrWait()
}
