package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/failover/heard"
	"highwater/failover/marks"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// Two processes run with the same key, so with copies of one state directory: neither process is confirmed (rule 12).
// heard.Lives proves the two.

const (
	// quiet is how many turns without a word end a process for this instance.
	quiet = 3
	// provedFor is how long two proved lives are taken to run: a running process is heard each few seconds.
	provedFor = 10 * time.Second
	// probeTimeout bounds the question to the address in the configuration before an answer: the asker waits for the
	// answer, askTimeout at most.
	probeTimeout = askTimeout / 3
)

// witnessLink is the witness of two processes with the peer's key. The peer (marks.Witness) is the witness of two with
// this instance's own key, and of all further alarms of the pair. Alarms on disk are found again by these words.
const witnessLink = "the link"

const hintSameKey = "stop either process, and make a new state for the stopped process: highwater init in an empty " +
	"directory. Afterwards highwater acknowledge on every machine with the alarm; and while nobody signs, highwater " +
	"takeover on the machine of your choice, with the process of the second machine stopped or fenced"

// spoke takes in the name of a speaking process. The message is later than the instant from. answered marks a message
// from the address in the configuration. Two lives at once raise the alarm, durably, before anything is answered.
func (n *Node) spoke(name string, from wire.Instant, answered bool) {
	fresh, two := n.lives.Spoke(name, from, answered)
	if fresh && !answered {
		n.Poke() // to ask for the process at the address in the configuration
	}
	if !two {
		return
	}
	peer, _ := n.store.Peer()
	n.signer.RaiseAlarm(signer.AlarmSameKey, witnessLink, "",
		fmt.Sprintf("two processes run with the key of the instance %s at the same "+
			"time, on a state directory and a copy of the directory. Neither may sign", peer.Key.Short()), hintSameKey)
}

// sameKey refuses everything as long as the alarm stands. Two lives proved lately have a reason of their own: the asker
// is one of the two, and the second lives.
func (n *Node) sameKey() *wire.Refusal {
	for _, a := range n.signer.Alarms() {
		if a.Name != signer.AlarmSameKey || a.Witness != witnessLink {
			continue
		}
		if n.lives.Proved(provedFor) {
			return wire.Refuse(wire.SameKey, a.Hint, "%s", a.Text)
		}
		return wire.Refuse(wire.SameKeyBefore, a.Hint,
			"two processes were heard with the same key, and nobody acknowledged the alarm: %s", a.Text)
	}
	return nil
}

// applySameKey ends signing when the peer says that a second process runs with this instance's own key. Signing ends in
// the epoch of the question. The marks here lack the signatures of the second process: only a takeover ends the fence,
// with a floor above all signatures. An instance that waits for an answer is fenced too, for the same reason.
func (n *Node) applySameKey(r *wire.Refusal, epoch uint64) error {
	if r.Reason != wire.SameKey {
		return nil
	}
	var err error
	mine := n.store.Role()
	if mine.Role == hwm.Active && mine.Epoch == epoch {
		// Signatures under way never leave: the second process may be at the same level.
		_, err = n.signer.Stand(givenUp(), hwm.Fenced,
			hwm.CutWhy("another process runs with this instance's key: a copy of the state directory"))
	}
	n.signer.RaiseAlarm(signer.AlarmSameKey, marks.Witness, "",
		"another process runs with the key of this instance at the same time: "+
			"the state directory has a copy. Neither process signs", hintSameKey)
	return err
}

// mayBeCopy marks a question with an answer that may let a silent process sign. Before such an answer this instance
// asks back.
func mayBeCopy(verb string, q wire.Question) bool {
	return verb == wire.Release || verb == wire.Status && !q.Signing && !q.Probe && (q.Role == hwm.Active || q.Activating)
}

// askBack asks the address in the configuration for the name of the process, unless the asker is known to be the
// process.
func (n *Node) askBack(ctx context.Context, q wire.Question) {
	peer, ok := n.store.Peer()
	if !ok || n.lives.There() == q.Life {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if _, err := n.probe(ctx, peer); err != nil {
		n.log.Debug("no answer tells whether two processes run", "peer", peer.Address, "error", err)
	}
}

// refuseBeside refuses a process the leave to sign while a second process with the same key may live: a process that
// answers at the address in the configuration, or was heard lately and not replaced at the address by the asker. The
// refusal passes with time; or the next message of the second process proves the two.
func (n *Node) refuseBeside(q wire.Question) error {
	switch n.lives.Beside(q.Life, quiet*n.every) {
	case heard.Answer:
		return wire.Refuse(wire.OtherLife,
			"see, on both: highwater status. A copy of a state directory must never run: stop the copy, and make "+
				"a new state with highwater init",
			"another process with the key of the instance %s answers at the configured address of the instance", q.From.Short())
	case heard.Recent:
		return wire.Refuse(wire.OtherLife,
			"wait some seconds; if the refusal does not pass, a copy of the state directory runs: stop the copy, "+
				"and make a new state with highwater init",
			"another process with the key of the instance %s was heard a moment ago, and may still run", q.From.Short())
	case heard.None:
	}
	return nil
}
