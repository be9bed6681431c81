package failover

import (
	"context"
	"time"

	"highwater/failover/keys"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// freshReport is the greatest age of a report under a release. The peer is asked each second.
const freshReport = 5 * time.Second

// lookAtKeys asks the peer for the peer's usable keys: the peer wants the right to sign. A fresh report without an
// obstacle is not asked for again.
func (n *Node) lookAtKeys(ctx context.Context) {
	mine := n.store.Role()
	peer, ok := n.store.Peer()
	if !ok || mine.Owner != n.Me() || mine.Epoch == 0 || mine.Role == hwm.Fenced || n.fitThere(peer) == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	start := n.now()
	a, err := n.probe(ctx, peer)
	n.noteAnswer(a, start, err)
}

// fitThere refuses to give the right to sign to a peer that cannot sign with each key in service here, or has not
// reported its keys lately.
func (n *Node) fitThere(peer hwm.Peer) error {
	last := n.heard.State()
	said := last.Report(peer.Key)
	if said == nil || last.Err != nil || n.now().Sub(last.At) > freshReport {
		why := "no report came lately"
		if last.Err != nil {
			why = last.Err.Error()
		}
		return wire.Refuse(wire.NotReady,
			"bring the link from this machine to the peer back: highwater peer show, on both machines",
			"the instance %s did not report its usable keys: %s", peer.Key.Short(), why)
	}
	return n.fit(peer, said)
}

// fitAsFar is fitThere for a certificate in a file: a missing report is no reason, since the link may be missing.
func (n *Node) fitAsFar(peer hwm.Peer) error {
	if said := n.lastReport(); said != nil {
		return n.fit(peer, said)
	}
	return nil
}

func (n *Node) fit(peer hwm.Peer, said *wire.Report) error {
	rows, err := n.marks.Rows()
	if err != nil {
		return err
	}
	serving, reports := make([]wire.Mark, 0, len(rows)), n.keys.Reports()
	for _, r := range rows {
		serving = append(serving, wire.Mark{PKH: r.PKH})
	}
	f := keys.Usable(checklist.Keys, reports, serving, keys.There(said.Keys), "there")
	if f.Result == checklist.Bad && len(reports) > 0 {
		return wire.Refuse(wire.NotReady, f.Hint, "the instance %s cannot take the right to sign: %s", peer.Key.Short(),
			f.Detail)
	}
	return nil
}

// lastReport is the last report of the peer, however old; nil: none.
func (n *Node) lastReport() *wire.Report {
	peer, _ := n.store.Peer()
	return n.heard.State().Report(peer.Key)
}
