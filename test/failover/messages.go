package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"highwater/test/failover/proxy"
)

// faults are the faults of one connection: lost at each step, torn in the middle, late, or repeated.
var faults = func() []proxy.Fate {
	out := []proxy.Fate{}
	for at := proxy.OnConnect; at < proxy.Stages; at++ {
		out = append(out, proxy.Fate{At: at, Lose: true})
	}
	return append(out,
		proxy.Fate{At: proxy.OnQuestion, Half: true}, proxy.Fate{At: proxy.OnAnswer, Half: true},
		proxy.Fate{At: proxy.OnQuestion, Delay: 400 * time.Millisecond}, proxy.Fate{At: proxy.OnAnswer, Delay: 400 * time.Millisecond},
		proxy.Fate{At: proxy.OnAnswer, Again: true}, proxy.Fate{At: proxy.OnEnd, Again: true, Lose: true})
}()

// messages hands over again and again, and breaks each connection of the handover in each way, until no connection is
// left to break. After any loss, no place is signed twice, and a second request finishes the handover.
func messages(ctx context.Context, w *world) error {
	signs, tried, cut := w.a, 0, 0
	for _, f := range faults {
		for n := 0; ; n++ {
			asked := []*side{w.other(signs), signs}[w.rand.IntN(2)]
			hit, failed, err := w.disturbed(ctx, signs, asked, n, f)
			if err != nil {
				return fmt.Errorf("connection %d of a handover to %s, asked for on %s, %s: %w", n, w.other(signs), asked, f, err)
			}
			signs = w.other(signs)
			if !hit {
				break
			}
			tried++
			if failed {
				cut++
			}
		}
	}
	w.result.note("%d handovers with a connection lost, torn, late or repeated; %d handovers needed a second request",
		tried, cut)
	if cut == 0 || tried < 4*len(faults) {
		return errors.New("too little was disturbed")
	}
	return nil
}

// disturbed hands over from one side to the other, and breaks connection n, counted over both directions. hit tells
// whether connection n came; failed, whether the operator had to ask again.
func (w *world) disturbed(ctx context.Context, from, asked *side, n int, f proxy.Fate) (hit, failed bool, err error) {
	seen := w.arrangeOne(n, f)
	_, first := w.handover(ctx, asked, "--now")
	hit = seen() > n
	w.arrange(nil)
	if err = w.finish(ctx, w.other(from), first); err == nil {
		err = w.quiet(ctx, from)
	}
	return hit, first != nil, err
}

// finish asks again, as an operator does, until a side signs.
func (w *world) finish(ctx context.Context, to *side, first error) error {
	if first == nil {
		return nil
	}
	return w.await(ctx, fmt.Sprintf("%s has finished the handover; first attempt: %v", to, first), func() (bool, error) {
		st, err := to.status(ctx)
		if err != nil || st.Role.Mine { // this side has the right already: a second handover would give the right away
			return err == nil && st.Signing, err
		}
		_, err = w.handover(ctx, to, "--now")
		return err == nil, err
	})
}

// arrange chooses the faults of connections of both directions, numbered in the order of their start. seen gives the
// number of connections.
func (w *world) arrange(f func(n int) []proxy.Fate) (seen func() int) {
	var count atomic.Int32
	for _, s := range w.sides() {
		if f == nil {
			s.proxy.Decide(nil)
			continue
		}
		s.proxy.Decide(func() []proxy.Fate { return f(int(count.Add(1)) - 1) })
	}
	return func() int { return int(count.Load()) }
}

// arrangeOne breaks connection n.
func (w *world) arrangeOne(n int, f proxy.Fate) (seen func() int) {
	return w.arrange(func(k int) []proxy.Fate {
		if k != n {
			return nil
		}
		return []proxy.Fate{f}
	})
}
