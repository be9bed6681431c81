package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/operate"
)

// watched is the cost of all that watches: one build with page, events, metrics, audit log and a node with rights,
// beside the same build with all of those off, in turns.
type watched struct {
	keys    int // known to both; one key asks
	on, off []sample
	rss     [2]int64 // the most resident memory, on and off, in bytes; after the same signatures
}

// Targets and work of a watched daemon.
const (
	watchShare  = 1.02
	watchMemory = 5 << 20
	listeners   = 3
	watchSlices = 10  // slices of a plan in a turn; the page tells of changes each second
	watchFills  = 200 // signatures of each key before: the levels that the page shows
)

// watchedKeys are the numbers of known keys.
var watchedKeys = []int{1, manyKeys}

const unwatchedConfig = `[audit]
max_size = 0
`

func (p plan) measureWatched(ctx context.Context) (out []watched, err error) {
	for _, keys := range watchedKeys {
		w, err := p.watchKeys(ctx, keys)
		if err != nil {
			return out, fmt.Errorf("%d keys: %w", keys, err)
		}
		out = append(out, w)
	}
	return out, nil
}

// watchKeys measures with a number of known keys.
func (p plan) watchKeys(ctx context.Context, keys int) (out watched, err error) {
	off, err := p.startUnwatched(ctx, keys)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, off.Stop()) }()
	config := nodesim.Config{Chain: benchChain, Level: benchStart}
	for _, k := range off.keys { // the same seeds give the same keys
		pkh := k.public.Hash()
		config.Bakers = append(config.Bakers, node.Signer{Delegate: pkh, Key: pkh})
	}
	chain := nodesim.New(config)
	at, endNode, err := serveNode(ctx, chain)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, endNode()) }()
	on, err := p.startSharer(ctx, sharer{}, emulated(keys, deviceLatency), keys, at)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, on.Stop()) }()
	grown := make(chan struct{})
	growing, stop := context.WithCancel(ctx)
	go func() { defer close(grown); grow(growing, chain, p.level) }()
	defer func() { stop(); <-grown }()
	if err = awaitRights(ctx, on); err != nil {
		return out, err
	}
	out, err = p.watchTurns(ctx, on, off)
	out.keys = keys
	return out, err
}

// startUnwatched starts a daemon without a monitor, an audit log and a node.
func (p plan) startUnwatched(ctx context.Context, keys int) (*daemon, error) {
	d, err := makeDaemon(ctx, p.binary, p.dir, keys, nil, p.store(), func(string) (top, rest string) {
		return "", unwatchedConfig + emulated(keys, deviceLatency)
	})
	if err != nil {
		return nil, err
	}
	if err = d.activate(ctx); err != nil {
		return nil, err
	}
	err = d.startUntil(ctx, func(ctx context.Context) error {
		return d.Await(ctx, func(ctx context.Context) bool { _, away := d.Keys(ctx); return away == nil })
	})
	return d, err
}

// awaitRights waits until the rights of all keys are known.
func awaitRights(ctx context.Context, d *daemon) error {
	return d.Await(ctx, func(ctx context.Context) bool {
		var st operate.Status
		body, err := d.Get(ctx, "/status")
		return err == nil && json.Unmarshal(body, &st) == nil && st.Rights != nil && len(st.Rights.Next) >= len(d.keys)
	})
}

// watchTurns fills the memory of both, and asks both in turns. The first turn is a warm-up and does not count.
func (p plan) watchTurns(ctx context.Context, on, off *daemon) (out watched, err error) {
	for _, d := range []*daemon{on, off} {
		if _, err = load(ctx, d.contender, keptStyle, time.Hour, watchFills*int64(len(d.keys))); err != nil {
			return out, err
		}
	}
	alone := func(d *daemon) *contender { c := *d.contender; c.keys = c.keys[:1]; return &c }
	slice := watchSlices * p.slice
	for turn := range p.turns + 1 {
		for i := range 2 { // each is first in half of the turns
			var s sample
			watching := (i+turn)%2 == 0
			if watching {
				s, err = watchedLoad(ctx, on, alone(on), slice)
			} else {
				s, err = load(ctx, alone(off), keptStyle, slice, 0)
			}
			switch {
			case err != nil:
				return out, err
			case turn == 0:
			case watching:
				out.on = append(out.on, s)
			default:
				out.off = append(out.off, s)
			}
		}
	}
	for i, d := range []*daemon{on, off} {
		if out.rss[i], err = peakRSS(d.PID()); err != nil {
			return out, err
		}
	}
	return out, nil
}

// watchRows are the targets of all that watches.
func (m measured) watchRows() (out []row) {
	for _, w := range m.watched {
		what := fmt.Sprintf("1 key of %d asks, kept connections, page, %d listeners, metrics, audit log and rights on: ",
			w.keys, listeners)
		out = append(out, m.watchRow(what+"p50", w, sample.p50), m.watchRow(what+"p99", w, sample.p99))
		if w.keys < manyKeys {
			continue
		}
		more := w.rss[0] - w.rss[1]
		out = append(out, row{
			fmt.Sprintf("  more memory than without, %d keys, the peaks", w.keys), fmt.Sprintf("≤ %d MiB", watchMemory>>20),
			fmt.Sprintf("%.1f MiB (%.1f beside %.1f)", mebi(more), mebi(w.rss[0]), mebi(w.rss[1])),
			times(ratio(float64(more), watchMemory)), verdictOf(m.within(float64(more), watchMemory)),
		})
	}
	return out
}

func mebi(n int64) float64 { return float64(n) / (1 << 20) }

// watchRow compares a quantile: the median of the ratios of the turns.
func (m measured) watchRow(what string, w watched, of func(sample) time.Duration) row {
	var ratios []float64
	for i := range min(len(w.on), len(w.off)) {
		ratios = append(ratios, ratio(of(w.on[i]).Seconds(), of(w.off[i]).Seconds()))
	}
	n := median(ratios)
	on, off := merge(w.on...), merge(w.off...)
	return row{
		what, fmt.Sprintf("≤ %.2f ×", watchShare),
		fmt.Sprintf("%s beside %s (%d requests each)", milli(of(on)), milli(of(off)), min(len(on.latency), len(off.latency))),
		times(n), verdictOf(len(ratios) > 0 && n <= watchShare*max(1, m.margin)),
	}
}
