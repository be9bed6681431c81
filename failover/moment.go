package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/tezos"
	"highwater/internal/words"
)

// A moment is good for a pause of signing, or for a handover, when no block of ours is near, and the other side is ready. It is advice:
// what keeps two instances from signing does not depend on it.

// Window is what is asked of a moment.
type Window struct {
	// Blocks is how many of the next levels are to be free of blocks of ours; zero: DefaultQuiet.
	Blocks int `json:"blocks"`
	// Within is how many levels there are left to wait. When no gap is long enough, the best that begins within them is taken.
	Within int `json:"within"`
	// Alone leaves the other instance out of it: nobody is to sign meanwhile.
	Alone bool `json:"alone,omitempty"`
}

// Bounds of a window, in levels.
const (
	DefaultQuiet = 3
	MaxQuiet     = 100  // ten minutes
	MaxWithin    = 1000 // nobody waits longer; rights are asked for chain.MaxAhead levels at most
	maxBehind    = 2    // that the other side's node, or its marks, may be behind
)

// BlockTime is what a level takes at round 0, on mainnet, for estimates.
const BlockTime = 6 * time.Second

func (w Window) sound() error {
	if w.Blocks < 0 || w.Blocks > MaxQuiet || w.Within < 0 || w.Within > MaxWithin {
		return wire.Refuse(wire.BadLevel, fmt.Sprintf("between 1 and %d blocks are waited for", MaxQuiet), "a window of %d blocks within %d", w.Blocks, w.Within)
	}
	return nil
}

// Moment is what came of looking for one.
type Moment struct {
	Good     bool             `json:"good"`
	Findings []checklist.Line `json:"findings"`
	Head     *int32           `json:"head"`           // null: no node says it
	Next     *chain.Right     `json:"next,omitempty"` // the next block that may be ours
	// Gap is what is waited for, or begins now: free levels after the level Starts. Zero when nothing is known.
	Starts int32 `json:"starts,omitempty"`
	Gap    int   `json:"gap,omitempty"`
}

// Moment tells whether now is a good one. It changes nothing, and may be asked each second.
func (n *Node) Moment(ctx context.Context, w Window) (Moment, error) {
	if err := w.sound(); err != nil {
		return Moment{}, err
	}
	if w.Blocks == 0 {
		w.Blocks = DefaultQuiet
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	m := Moment{}
	var said *wire.Answer
	if _, paired := n.store.Peer(); paired && !w.Alone {
		var f checklist.Line
		f, said = n.momentPeer(ctx)
		m.Findings = append(m.Findings, f)
	}
	if !n.signer.Active() && (said == nil && len(m.Findings) == 0 || said != nil && !said.Signing) {
		m.Findings = append(m.Findings, checklist.New(checklist.Signing, checklist.OK, "nobody signs now: nothing is gained by waiting", ""))
		m.Good = checklist.Stands(m.Findings) == nil
		return m, nil
	}
	if said != nil {
		m.Findings = append(m.Findings, n.momentKeys(said), n.momentMarks(said))
	}
	m.Findings = append(m.Findings, n.momentChain(ctx, &m, said, w)...)
	m.Good = checklist.Stands(m.Findings) == nil
	return m, nil
}

// lookTimeout bounds one look at the node and at the other instance.
const lookTimeout = 30 * time.Second

// Finding is the moment as one line of a longer checklist.
func (m Moment) Finding() checklist.Line {
	const id = checklist.Moment
	if f := checklist.Stands(m.Findings); f != nil {
		return checklist.New(id, checklist.Waiting, f.Name+": "+f.Detail, f.Hint)
	}
	out := checklist.New(id, checklist.OK, "good", "")
	for _, f := range m.Findings {
		if f.Result == checklist.Warning {
			return checklist.New(id, checklist.Warning, f.Name+": "+f.Detail, f.Hint)
		}
		out.Detail = f.Detail
	}
	return out
}

// momentPeer asks the other instance; nothing is said when it does not answer.
func (n *Node) momentPeer(ctx context.Context) (checklist.Line, *wire.Answer) {
	const id = checklist.OtherInstance
	a, err := n.Ask(ctx)
	if err != nil {
		return checklist.Failed(id, err).OrWait(), nil
	}
	if a.Role == hwm.Fenced {
		return checklist.New(id, checklist.Bad, "it is fenced: "+a.Status.Why, "find out who signed; then: highwater standby, there"), &a
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("it answers: %s, epoch %d", a.Role, a.Epoch), ""), &a
}

// momentKeys wants the keys of the side that signs to be usable on the other.
func (n *Node) momentKeys(said *wire.Answer) checklist.Line {
	const id = checklist.Devices
	if said.Signing {
		return usableOn(id, said.Status.Keys, said.Status.Marks, n.lackHere, "here").OrWait()
	}
	marks, err := n.durableMarks()
	if err != nil {
		return checklist.Failed(id, err).OrWait()
	}
	return usableOn(id, n.keyReports(), marks, lackThere(said.Status.Keys), "there").OrWait()
}

// momentMarks wants the marks of the side that does not sign to follow.
func (n *Node) momentMarks(said *wire.Answer) checklist.Line {
	const id = checklist.Marks
	ours, err := n.durableMarks()
	if err != nil {
		return checklist.Failed(id, err)
	}
	signs, follows := ours, said.Status.Marks
	if said.Signing {
		signs, follows = follows, signs
	}
	have := map[hwm.Key]int32{}
	for _, m := range follows {
		have[hwm.Key{PKH: m.PKH, Kind: m.Kind}] = m.Level
	}
	behind, missing := int64(0), 0
	for _, m := range signs {
		level, ok := have[hwm.Key{PKH: m.PKH, Kind: m.Kind}]
		if !ok {
			missing++
			continue
		}
		behind = max(behind, int64(m.Level)-int64(level))
	}
	const anyway = "they come with the handover in any case"
	switch {
	case (missing > 0 || behind > maxBehind) && said.Role == hwm.Active && n.store.Role().Role == hwm.Active:
		return checklist.New(id, checklist.Warning, "after a release by level they do not follow", anyway)
	case missing > 0:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("%d do not follow yet", missing), anyway)
	case behind > maxBehind:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("they follow %s behind", words.Count(behind, "level")), anyway)
	}
	return checklist.New(id, checklist.OK, "they follow those of the instance that signs", "")
}

// momentChain looks at both nodes, at what was signed at the head, and at the blocks that are ours to make.
func (n *Node) momentChain(ctx context.Context, m *Moment, said *wire.Answer, w Window) []checklist.Line {
	if n.chain == nil {
		return []checklist.Line{checklist.New(checklist.Node, checklist.Warning, "none is configured here: the blocks that are ours to make are not known, nor where the chain is", "set `node` in the configuration")}
	}
	node, head := n.checkNode(ctx)
	out := []checklist.Line{node.OrWait()}
	if node.Result != checklist.OK {
		return out
	}
	m.Head = &head.Level
	if said != nil {
		out = append(out, nodeThere(head.Level, said.Status.Head))
	}
	rights, err := n.chain.Rights(ctx, n.pkhs(), head.Level, min(w.Within+w.Blocks, chain.MaxAhead))
	if err != nil {
		return append(out, checklist.Failed(checklist.Blocks, err).OrWait())
	}
	out = append(out, n.momentSigned(head.Level, rights.Attest, said)...)
	return append(out, m.look(rights.Blocks, head.Level, w))
}

// nodeThere compares the two nodes.
func nodeThere(ours int32, theirs *int32) checklist.Line {
	const id = checklist.NodeThere
	switch {
	case theirs == nil:
		return checklist.New(id, checklist.Warning, "the other instance does not say where the chain is: it has no node, or one that is not in step", "")
	case int64(ours)-int64(*theirs) > maxBehind:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("it is at level %d, %d behind the one here", *theirs, ours-*theirs), "wait until it has caught up")
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("at level %d", *theirs), "")
}

// recent is how many levels a key may be behind the head for it to be waited for: one that stopped attesting is not.
const recent = 4

// momentSigned wants those who have to attest the head to have done it: then nothing is asked for until the next block comes. Nil when
// nobody has to.
func (n *Node) momentSigned(head int32, duty []tezos.PublicKeyHash, said *wire.Answer) []checklist.Line {
	const id = checklist.Attestations
	marks, err := n.durableMarks()
	if err != nil {
		return []checklist.Line{checklist.Failed(id, err)}
	}
	if said != nil && said.Signing {
		marks = said.Status.Marks
	}
	done, late := 0, 0
	for _, m := range marks {
		switch {
		case m.Kind != tezos.Attestation || m.Source != hwm.SourceSigned || !slices.Contains(duty, m.PKH):
		case m.Level >= head:
			done++
		case int64(head)-int64(m.Level) <= recent:
			late++
		}
	}
	switch {
	case late > 0:
		return []checklist.Line{checklist.New(id, checklist.Waiting, fmt.Sprintf("level %d: %d of %d keys have not attested yet", head, late, done+late), "")}
	case done > 0:
		return []checklist.Line{checklist.New(id, checklist.OK, fmt.Sprintf("level %d: all keys have attested", head), "")}
	}
	return nil
}
