package moment

import (
	"context"
	"fmt"
	"slices"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/tezos"
	"highwater/internal/words"
)

// Node is this instance's octez node.
type Node interface {
	// Check tells whether the node keeps up with the chain, and its head.
	Check(ctx context.Context) (checklist.Line, chain.Head)
	// Rights tells of the duties of keys at the head, and at the levels that follow, ahead of them.
	Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (chain.Rights, error)
}

// Look holds all grounds of a moment.
type Look struct {
	Window Window
	Peer   *wire.Answer // the peer's status; nil: the peer has no part, or does not answer
	Active bool         // the role of this instance is active
	Node   Node         // nil: no node is configured
	Keys   []tezos.PublicKeyHash
	Marks  func() ([]wire.Mark, error) // of this instance, durable
}

// Judge looks, and adds lines to the earlier lines.
func (l Look) Judge(ctx context.Context, found []checklist.Line) Moment {
	l.Window = l.Window.filled()
	m := Moment{Findings: found}
	if l.Peer != nil {
		m.Findings = append(m.Findings, l.following())
	}
	m.Findings = append(m.Findings, l.chain(ctx, &m)...)
	return m.judged()
}

// following wants the marks of the side that does not sign to follow.
func (l Look) following() checklist.Line {
	const id = checklist.Marks
	ours, err := l.Marks()
	if err != nil {
		return checklist.Failed(id, err)
	}
	signs, follows := ours, l.Peer.Status.Marks
	if l.Peer.Signing {
		signs, follows = follows, signs
	}
	behind, missing := lag(signs, follows)
	const anyway = "the marks come with the handover in any case"
	switch {
	case (missing > 0 || behind > MaxBehind) && l.Peer.Role == hwm.Active && l.Active:
		return checklist.New(id, checklist.Warning, "after a release by level no marks follow", anyway)
	case missing > 0:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("%d do not follow yet", missing), anyway)
	case behind > MaxBehind:
		return checklist.New(id, checklist.Waiting,
			fmt.Sprintf("the marks follow %s behind", words.Count(behind, "level")), anyway)
	}
	return checklist.New(id, checklist.OK, "the marks follow the signing instance's", "")
}

// lag is how many levels follows is behind signs, and how many marks are missing from follows.
func lag(signs, follows []wire.Mark) (levels int64, missing int) {
	have := map[hwm.Key]int32{}
	for _, m := range follows {
		have[hwm.Key{PKH: m.PKH, Kind: m.Kind}] = m.Level
	}
	for _, m := range signs {
		level, ok := have[hwm.Key{PKH: m.PKH, Kind: m.Kind}]
		if !ok {
			missing++
			continue
		}
		levels = max(levels, int64(m.Level)-int64(level))
	}
	return levels, missing
}

// chain looks at both nodes, at the signatures for the head, and at the blocks that our keys are to make.
func (l Look) chain(ctx context.Context, m *Moment) []checklist.Line {
	if l.Node == nil {
		return []checklist.Line{checklist.New(checklist.Node, checklist.Warning,
			"none is configured here: neither our next blocks nor the head of the chain are known", "set `node` in "+
				"the configuration")}
	}
	node, head := l.Node.Check(ctx)
	out := []checklist.Line{node.OrWait()}
	if node.Result != checklist.OK {
		return out
	}
	m.Head = &head.Level
	if l.Peer != nil {
		out = append(out, nodeThere(head.Level, l.Peer.Status.Head))
	}
	rights, err := l.Node.Rights(ctx, l.Keys, head.Level, min(l.Window.Within+l.Window.Blocks, chain.MaxAhead))
	if err != nil {
		return append(out, checklist.Failed(checklist.Blocks, err).OrWait())
	}
	out = append(out, l.attested(head.Level, rights.Attest)...)
	return append(out, m.look(rights.Blocks, head.Level, l.Window))
}

// nodeThere compares the heads of the two nodes.
func nodeThere(ours int32, theirs *int32) checklist.Line {
	const id = checklist.NodeThere
	switch {
	case theirs == nil:
		return checklist.New(id, checklist.Warning,
			"the peer does not tell of a head: no node is configured at the peer, or the node is not in step", "")
	case int64(ours)-int64(*theirs) > MaxBehind:
		return checklist.New(id, checklist.Waiting,
			fmt.Sprintf("at level %d, %d behind the node here", *theirs, ours-*theirs),
			"wait until the node has caught up")
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("at level %d", *theirs), "")
}

// Recent is how many levels the mark of a key may be behind the head for the key to be waited for: a key further behind
// has stopped attesting.
const Recent = 4

// attested wants the keys with the duty to attest the head to have done their duty: afterwards no signature is asked
// for until the next block comes. Nil when no key has the duty.
func (l Look) attested(head int32, duty []tezos.PublicKeyHash) []checklist.Line {
	const id = checklist.Attestations
	marks, err := l.Marks()
	if err != nil {
		return []checklist.Line{checklist.Failed(id, err)}
	}
	if l.Peer != nil && l.Peer.Signing {
		marks = l.Peer.Status.Marks
	}
	done, late := 0, 0
	for _, m := range marks {
		switch {
		case m.Kind != tezos.Attestation || m.Source != hwm.SourceSigned || !slices.Contains(duty, m.PKH):
		case m.Level >= head:
			done++
		case int64(head)-int64(m.Level) <= Recent:
			late++
		}
	}
	switch {
	case late > 0:
		return []checklist.Line{checklist.New(id, checklist.Waiting,
			fmt.Sprintf("level %d: %d of %d keys have not attested yet", head, late, done+late), "")}
	case done > 0:
		return []checklist.Line{checklist.New(id, checklist.OK, fmt.Sprintf("level %d: all keys have attested", head), "")}
	}
	return nil
}
