package failover

import (
	"context"
	"sync"
	"time"
)

// pulse notices that this process stood still: it was stopped, or its machine suspended, and goes on in the middle of what it did. Who
// looked at it meanwhile may have taken it for dead. A machine that is paused together with its clocks leaves nothing to notice.
type pulse struct {
	mu    sync.Mutex
	ran   time.Time // when it was seen to run last; zero: nobody looks
	slept bool      // it stood still, and has not asked since
}

// slow is how many turns without a beat mean that the process stood still. One that is only starved asks once for nothing.
const slow = 3

// look tells whether the process stood still for longer than limit, and has not asked since. beats says that it runs.
func (p *pulse) look(now time.Time, limit time.Duration, beats bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ran.IsZero() && max(now.Sub(p.ran), now.Round(0).Sub(p.ran.Round(0))) > limit { // by either clock: one of them may have stood still, too
		p.slept = true
	}
	if beats {
		p.ran = now
	}
	return p.slept
}

func (p *pulse) asked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran, p.slept = time.Now(), false
}

// beats is one turn of the pulse.
func (n *Node) beats(context.Context) { n.pulse.look(time.Now(), slow*n.every, true) }

// Awake is called before a signature leaves, and returns at once as long as this process ran all along. After it stood still it asks
// the other instance first, which may have taken over: then the answer has ended signing here before this returns. Without an answer it goes
// on, as it does whenever the other instance is away.
func (n *Node) Awake(ctx context.Context) {
	if !n.pulse.look(time.Now(), slow*n.every, false) {
		return
	}
	defer n.signer.Lines().Release()
	n.waking.Lock()
	defer n.waking.Unlock()
	n.signer.Lines().Hold()
	if !n.pulse.look(time.Now(), slow*n.every, false) { // somebody else has asked
		return
	}
	if _, paired := n.store.Peer(); paired {
		_, err := n.Ask(context.WithoutCancel(ctx)) // the request may be late by now
		n.log.Warn("stood still", "error", err)
	}
	n.pulse.asked()
}
