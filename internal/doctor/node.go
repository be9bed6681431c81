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

// Bounds of the look at a node: how long it may take, and how old a head may be.
const (
	nodeTimeout = 5 * time.Second
	maxHeadAge  = time.Minute
)

// maxClock is the difference of clocks that is worth a warning.
const maxClock = 5 * time.Second

// checkNode asks the configured node which chain it follows, whether it keeps up, and what time it is there.
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
		if errors.Is(err, node.ErrNotSynced) { // it passes by itself, and signing goes on
			f.Result = checklist.Warning
		}
	}
	return append(append([]checklist.Line{f}, nodeClock(ctx, client, h, now)...), nodeProtocol(ctx, client)...)
}

// nodeProtocol compares the node's protocol, and that of the next block, with those that this program was tested with.
func nodeProtocol(ctx context.Context, client *node.Client) []checklist.Line {
	p, err := client.Protocols(ctx)
	if err != nil {
		return nil // what keeps the node from answering is said already
	}
	unknown, when := p.Current, "is unknown to this version of Highwater"
	if p.Current.Known() {
		if p.Next.Known() {
			return []checklist.Line{checklist.Good(checklist.Protocol, "%s", p.Current)}
		}
		unknown, when = p.Next, "begins with the next block, and is unknown to this version of Highwater"
	}
	return []checklist.Line{checklist.New(checklist.Protocol, checklist.Warning, fmt.Sprintf("%s %s", unknown, when), protocolHint)}
}

const protocolHint = "read the release notes of Highwater and upgrade. Payloads with known layouts are signed until then, and all others " +
	"are refused: docs/protocol.md, \"A new protocol\""

// nodeClock compares this machine's clock with the node's: by the Date of an answer; else by the head, which cannot
// be of the future.
func nodeClock(ctx context.Context, client *node.Client, h node.Health, now func() time.Time) []checklist.Line {
	const name = checklist.ClockOfNode
	there, here, err := client.Clock(ctx, now)
	if err != nil {
		return nil // what keeps the node from answering is said already
	}
	if there.IsZero() {
		if ahead := h.Head.Timestamp.Sub(here); !h.Head.Timestamp.IsZero() && ahead > maxClock {
			return []checklist.Line{checklist.New(name, checklist.Warning, fmt.Sprintf("the node's head is %s in the future of this machine's clock", ahead.Round(time.Second)), clockHint)}
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

// checkPeerClock compares with the other instance, as it was heard last.
func checkPeerClock(st operate.Status) []checklist.Line {
	if st.Pair == nil || st.Pair.Peer == nil || st.Pair.Peer.HeardAt == nil {
		return nil
	}
	return []checklist.Line{judgeClock(checklist.ClockOfPeer, time.Duration(st.Pair.Peer.SkewMS)*time.Millisecond)}
}
