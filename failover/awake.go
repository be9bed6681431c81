package failover

import (
	"context"
	"time"
)

// slow is how many turns without a beat mean that the process stood still. A process that is only starved asks once for
// nothing.
const slow = 3

// beats is one turn of the pulse.
func (n *Node) beats(context.Context) { n.pulse.Look(time.Now(), slow*n.every, true) }

// Awake is called before a signature leaves, and returns at once as long as this process ran all along. After a
// standstill Awake asks the peer first, since the peer may have taken over: the answer of such a peer ends signing here
// before Awake returns. Without an answer signing goes on, as always while the peer is away.
func (n *Node) Awake(ctx context.Context) {
	if !n.pulse.Look(time.Now(), slow*n.every, false) {
		return
	}
	defer n.signer.Lines().Release()
	n.waking.Lock()
	defer n.waking.Unlock()
	n.signer.Lines().Hold()
	if !n.pulse.Look(time.Now(), slow*n.every, false) { // another signature has asked
		return
	}
	if _, paired := n.store.Peer(); paired {
		_, err := n.Ask(context.WithoutCancel(ctx)) // the request may be late by now
		n.log.Warn("stood still", "error", err)
	}
	n.pulse.Asked()
}
