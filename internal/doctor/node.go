package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/node"
	"highwater/operate"
)

// Bounds of the look at a node: the time for its answers, and the age of its head.
const (
	nodeTimeout = 5 * time.Second
	maxHeadAge  = time.Minute
)

// maxClock is the smallest difference of clocks that earns a warning.
const maxClock = 5 * time.Second

// checkNode asks the configured node for its chain, its progress and its clock.
func checkNode(ctx context.Context, cfg *config.Config, now func() time.Time) []checklist.Line {
	if cfg.Node == "" {
		return nil
	}
	client, err := node.New(node.Config{URL: cfg.Node, Timeout: nodeTimeout})
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.Node, err)}
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*nodeTimeout)
	defer cancel()
	h, err := client.Check(ctx, cfg.ChainID, now(), maxHeadAge)
	f := checklist.Good(checklist.Node, "%s is in step, at level %d", client, h.Head.Level)
	if err != nil {
		f = checklist.Failed(checklist.Node, err)
		if errors.Is(err, node.ErrNotSynced) { // the node catches up without help, and signing goes on
			f.Result = checklist.Warning
		}
	}
	return append(append([]checklist.Line{f}, nodeClock(ctx, client, h, now)...), nodeProtocol(ctx, client)...)
}

// nodeProtocol compares the node's present and next protocol with the protocols tested with this program.
func nodeProtocol(ctx context.Context, client *node.Client) []checklist.Line {
	p, err := client.Protocols(ctx)
	if err != nil {
		return nil // checkNode has reported the silent node already
	}
	unknown, when := p.Current, "is unknown to this version of Highwater"
	if p.Current.Known() {
		if p.Next.Known() {
			return []checklist.Line{checklist.Good(checklist.Protocol, "%s", p.Current)}
		}
		unknown, when = p.Next, "begins with the next block, and is unknown to this version of Highwater"
	}
	return []checklist.Line{checklist.New(
		checklist.Protocol, checklist.Warning, fmt.Sprintf("%s %s", unknown, when), protocolHint)}
}

const protocolHint = "read the release notes of Highwater and upgrade. Until then payloads with known layouts are " +
	"signed, a block with a new end too, and all others are refused: docs/protocol.md, \"A new protocol\""

// nodeClock compares this machine's clock with the Date of an answer of the node; else with the head, which is never of
// the future.
func nodeClock(ctx context.Context, client *node.Client, h node.Health, now func() time.Time) []checklist.Line {
	const name = checklist.ClockOfNode
	there, here, err := client.Clock(ctx, now)
	if err != nil {
		return nil // checkNode has reported the silent node already
	}
	if there.IsZero() {
		if ahead := h.Head.Timestamp.Sub(here); !h.Head.Timestamp.IsZero() && ahead > maxClock {
			return []checklist.Line{checklist.New(
				name, checklist.Warning, fmt.Sprintf(
					"the node's head is %s in the future of this machine's clock", ahead.Round(time.Second)), clockHint)}
		}
		return nil
	}
	return []checklist.Line{judgeClock(name, there.Sub(here))}
}

const clockHint = "run a time service on both machines: chrony, or systemd-timesyncd; see: timedatectl"

// judgeClock is a line about the difference of two clocks; a Date has whole seconds.
func judgeClock(name checklist.ID, skew time.Duration) checklist.Line {
	detail := fmt.Sprintf("differs by %s from this machine's clock", skew.Abs().Round(100*time.Millisecond))
	if skew.Abs() > maxClock {
		return checklist.New(name, checklist.Warning, detail, clockHint)
	}
	return checklist.Good(name, "%s", detail)
}

// checkPeerClock compares the clocks of both instances at the last contact.
func checkPeerClock(st operate.Status) []checklist.Line {
	if st.Pair == nil || st.Pair.Peer == nil || st.Pair.Peer.HeardAt == nil {
		return nil
	}
	return []checklist.Line{judgeClock(checklist.ClockOfPeer, time.Duration(st.Pair.Peer.SkewMS)*time.Millisecond)}
}
