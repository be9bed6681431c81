package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// A life is one process of an instance, by a number that it draws at its start and says in every message. Two that live at once are two
// machines with one state directory: the lock on it keeps a second process from the same one. Nothing else in the protocol tells them apart.
//
// What proves that two live at once must not depend on how long a message was on its way. So this process counts, and a message is put
// between two counts: it came at the later one, and at the earlier one something fresh was drawn without which it could not have been made,
// the handshake of the connection on which it was asked or the nonce of the question that it answers. Its sender lived at some moment between
// the two; what a dead process left behind in a buffer lies before the death of its sender, however late it comes. A life that was heard,
// then another one, then the first one again, one wholly after the other, is alive on both sides of a moment at which the other one lived
// too. Processes that follow each other never look so, in whatever order and however late their messages arrive, and no clock is asked.

// life is what was heard of one process in this run.
type life struct {
	name     string
	began    uint64    // it lived at a moment before this count
	alive    uint64    // and at one after this
	from, to uint64    // what it said last was said between these two
	answered bool      // at the address that is configured
	at       time.Time // of from
}

// lives is what was heard of the other instance's processes.
type lives struct {
	heard  []life // the one heard last stands last
	there  string // the one that answered last at the address that is configured
	proved time.Time
}

const (
	maxLives = 16 // that are remembered
	// quiet is how many turns without a word make a process that may be anywhere one that is not there any more.
	quiet = 3
	// provedFor is how long two that were heard at once are taken to run: as long as they do, they are heard each few seconds.
	provedFor = 10 * time.Second
	// probeTimeout bounds the question to the configured address before an answer: whoever asked waits for it, askTimeout at most.
	probeTimeout = askTimeout / 3
)

// spoke takes in that a process said something that it could not have said before from. answered is for what came from the
// configured address. Two at once raise the alarm, durably, before anything is answered.
func (n *Node) spoke(name string, from wire.Instant, answered bool) {
	n.mu.Lock()
	isNew := !n.lives.knows(name)
	two := n.lives.spoke(life{name: name, from: from.Count, to: n.count.Next(), answered: answered, at: from.At})
	n.mu.Unlock()
	if isNew && !answered {
		n.Poke() // whether it is the one at the configured address
	}
	if !two {
		return
	}
	peer, _ := n.store.Peer()
	n.signer.RaiseAlarm(signer.AlarmSameKey, witnessLink, "", fmt.Sprintf("two processes run with the key of the instance %s at the same time: one of them has a "+
		"copy of the other's state directory. Neither of them may sign", peer.Key.Short()), hintSameKey)
}

// witnessLink is who knows of two processes with the other instance's key. The one with whom this instance shares its own key is known
// from the other instance.
const witnessLink = "the link"

const hintSameKey = "stop one of the two, and make its state anew: highwater init in an empty directory. Then highwater acknowledge on every machine that tells of " +
	"it; and where nobody signs, highwater takeover on the one that should, with the process of the other stopped or fenced"

func (l *lives) spoke(m life) (two bool) {
	m.began, m.alive = m.to, m.from
	if m.answered {
		l.there = m.name
	}
	for i, old := range l.heard {
		if old.name == m.name {
			m.began, m.alive, m.answered = min(m.began, old.began), max(m.alive, old.alive), m.answered || old.answered
			if old.from > m.from { // it was on its way for longer
				m.from, m.to, m.at = old.from, old.to, old.at
			}
			l.heard = append(l.heard[:i], l.heard[i+1:]...)
			break
		}
	}
	for _, other := range l.heard {
		two = two || m.livedAt(other) || other.livedAt(m)
	}
	l.heard = append(l.heard, m)
	l.heard = l.heard[max(0, len(l.heard)-maxLives):]
	if two { // what is said from now on proves it anew, or not
		l.heard, l.proved = nil, time.Now()
	}
	return two
}

func (l *lives) knows(name string) bool {
	return slices.ContainsFunc(l.heard, func(m life) bool { return m.name == name })
}

// livedAt tells whether this life began before, and went on after, the moment at which another one said what it said last.
func (l life) livedAt(other life) bool { return l.began <= other.from && other.to <= l.alive }

// sameKey refuses everything as long as the alarm stands. Where the two were heard not long ago it says so: then who asked is one of them,
// and the other one lives.
func (n *Node) sameKey() *wire.Refusal {
	for _, a := range n.signer.Alarms() {
		if a.Name != signer.AlarmSameKey || a.Witness != witnessLink {
			continue
		}
		n.mu.Lock()
		proved := n.lives.proved
		n.mu.Unlock()
		if !proved.IsZero() && time.Since(proved) < provedFor {
			return wire.Refuse(wire.SameKey, a.Hint, "%s", a.Text)
		}
		return wire.Refuse(wire.SameKeyBefore, a.Hint, "two processes were heard with one key, and nobody acknowledged it there: %s", a.Text)
	}
	return nil
}

// toldSameKey is for who hears that somebody else runs with its own key. It ends signing in the epoch in which it asked: what the other
// one signed is not in the marks here, so only a takeover, whose floor is above all of that, ends the fence. One that waits for
// an answer is fenced too, for the same reason.
func (n *Node) toldSameKey(r *wire.Refusal, epoch uint64) error {
	if r.Reason != wire.SameKey {
		return nil
	}
	var err error
	mine := n.store.Role()
	if mine.Role == hwm.Active && mine.Epoch == epoch {
		// What is under way never leaves: the other one may be at the same level.
		_, err = n.signer.Stand(givenUp(), hwm.Fenced, hwm.CutWhy("another process runs with this instance's key: a copy of its state directory"))
	}
	n.signer.RaiseAlarm(signer.AlarmSameKey, "the other instance", "", "another process runs with the key of this instance at the same time: one of "+
		"the two has a copy of the other's state directory, or this is the copy. Neither signs",
		hintSameKey)
	return err
}

// mayBeCopy tells of a question whose answer may let a process sign that did not. One that is asked for such an answer asks back first.
func mayBeCopy(verb string, q wire.Question) bool {
	return verb == wire.Release || verb == wire.Status && !q.Signing && !q.Probe && (q.Role == hwm.Active || q.Activating)
}

// lookFor asks the configured address who answers there, unless that is known to be who asks.
func (n *Node) lookFor(ctx context.Context, q wire.Question) {
	n.mu.Lock()
	there := n.lives.there
	n.mu.Unlock()
	peer, ok := n.store.Peer()
	if !ok || there == q.Life {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if _, err := n.probe(ctx, peer); err != nil {
		n.log.Debug("nobody answers whether there are two", "peer", peer.Address, "error", err)
	}
}

// alone refuses a process what would let it sign while another one with its key may live: one that answers at the configured address,
// or one that was heard not long ago, and was not replaced at that address by the one that asks. It passes with time, or with the
// next message of the other one it is proved.
func (n *Node) alone(q wire.Question) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.lives.heard {
		switch {
		case l.name == q.Life:
		case l.name == n.lives.there && time.Since(l.at) < quiet*n.every:
			return wire.Refuse(wire.OtherLife, "see, on both: highwater status. A copy of a state directory must never run: stop it, and make its state anew with highwater init",
				"another process with the key of the instance %s answers at the address that is configured for it", q.From.Short())
		case n.lives.there == q.Life && l.answered:
		case time.Since(l.at) < quiet*n.every:
			return wire.Refuse(wire.OtherLife, "wait some seconds; if it does not pass, a copy of the state directory runs: stop it, and make its state anew with highwater init",
				"another process with the key of the instance %s was heard a moment ago, and may still run", q.From.Short())
		}
	}
	return nil
}
