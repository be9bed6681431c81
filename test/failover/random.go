package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"highwater/test/failover/network"
	"highwater/test/failover/proxy"
)

// history is a random history: all acts of the other scenarios, in any order. The operators' statements are true.
type history struct {
	*world
	sticks []stick
	count  map[string]int
}

// stick is a certificate carried by hand.
type stick struct {
	from *side
	path string
}

// historySteps is how many things happen.
const historySteps = 80

func random(ctx context.Context, w *world) error {
	h := &history{world: w, count: map[string]int{}}
	for n := range historySteps {
		if err := h.step(ctx); err != nil {
			return fmt.Errorf("step %d: %w", n, err)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(h.count)) {
		w.result.note("%3d × %s", h.count[what], what)
	}
	return h.settle(ctx)
}

// did counts the acts that took effect. An act without effect is no error here.
func (h *history) did(what string, err error) {
	if err == nil {
		h.count[what]++
	}
}

func (h *history) any() *side { return h.sides()[h.rand.IntN(2)] }

func (h *history) step(ctx context.Context) error {
	x := h.any()
	switch n := h.rand.IntN(100); {
	case n < 25:
		_, err := h.handover(ctx, x)
		h.did("handed over", err)
	case n < 35:
		_, err := h.handover(ctx, x, "--at", fmt.Sprint(h.level()+1+h.rand.Int32N(5)))
		h.did("handed over by level", err)
	case n < 40:
		h.release(ctx, x)
	case n < 46:
		h.accept(ctx)
	case n < 60:
		return h.disturb(ctx, x)
	case n < 67 && x.running.Load():
		h.did("killed", nil)
		return x.kill()
	case n < 70 && x.running.Load():
		h.did("power cut", nil)
		return errors.Join(h.powerOff(ctx, x), x.plug(ctx), h.diskOn(ctx, x))
	case n < 74 && x.running.Load():
		return h.failDisk(ctx, x)
	case n < 90 && !x.running.Load():
		h.did("started again", nil)
		return x.up(ctx)
	case x.running.Load() && !h.other(x).running.Load():
		h.takeOver(ctx, x)
	default:
		return h.levels(ctx, 1)
	}
	return nil
}

// failDisk makes the disk of a side fail for some levels. A process that survives is killed.
func (h *history) failDisk(ctx context.Context, x *side) error {
	f := diskFaults[h.rand.IntN(len(diskFaults))]
	t, err := x.breakDisk(ctx, f)
	if err != nil {
		return err
	}
	err = h.levels(ctx, 2)
	_, _ = h.handover(ctx, x) // any outcome is fine
	st, _ := x.status(ctx)
	if st.Store != "ok" {
		h.did("disk failed: "+f.what, nil)
	}
	x.running.Store(false)
	return errors.Join(err, t.end(), x.EndAnyhow())
}

func (h *history) diskOn(ctx context.Context, x *side) error {
	if x.disk == nil {
		return nil
	}
	return x.disk.powerOn(ctx)
}

// disturb breaks a link or a connection, or mends the link.
func (h *history) disturb(ctx context.Context, x *side) error {
	h.did("links changed", nil)
	switch h.rand.IntN(6) {
	case 0:
		return x.unplug(ctx, network.LinkPeer)
	case 1:
		return h.net.Deafen(ctx, x.machine())
	case 2:
		return h.net.Mute(ctx, x.machine())
	case 3:
		r, mu := rand.New(rand.NewPCG(h.rand.Uint64(), 1)), sync.Mutex{} //nolint:gosec // no secret
		h.arrange(func(int) []proxy.Fate {
			mu.Lock()
			defer mu.Unlock()
			if r.IntN(3) > 0 {
				return nil
			}
			return []proxy.Fate{faults[r.IntN(len(faults))]}
		})
		return nil
	}
	return h.mend(ctx)
}

// mend makes all links whole.
func (h *history) mend(ctx context.Context) error {
	h.arrange(nil)
	var err error
	for _, s := range h.sides() {
		err = errors.Join(err, s.plug(ctx), h.net.Hear(ctx, s.machine()))
	}
	return err
}

func (h *history) release(ctx context.Context, x *side) {
	path := h.stick(fmt.Sprintf("stick-%d", len(h.sticks)+h.count["released"]))
	_, err := x.Command(ctx, "release", "--yes", "--at", fmt.Sprint(h.level()+1+h.rand.Int32N(5)), "--out", path)
	h.did("released", err)
	if err == nil {
		h.sticks = append(h.sticks, stick{x, path})
	}
}

// accept carries one of the sticks to its machine; each stick may be carried again and again.
func (h *history) accept(ctx context.Context) {
	if len(h.sticks) > 0 {
		s := h.sticks[h.rand.IntN(len(h.sticks))]
		_, err := h.other(s.from).Command(ctx, "accept", "--yes", "--in", s.path)
		h.did("accepted", err)
	}
}

// takeOver takes over on a true statement: the other process is dead, and all sticks from this side are destroyed.
func (h *history) takeOver(ctx context.Context, x *side) {
	h.sticks = slices.DeleteFunc(h.sticks, func(s stick) bool { return s.from == x && os.Remove(s.path) == nil })
	_, err := x.Command(ctx, "takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign",
		"--the-certificate-is-destroyed", "--silence", "0")
	h.did("taken over", err)
}

// settle mends everything, starts both sides, and wants one side to sign in the end, with an operator's help.
func (h *history) settle(ctx context.Context) error {
	if err := h.mend(ctx); err != nil {
		return err
	}
	for _, s := range h.sides() {
		if !s.running.Load() {
			if err := s.up(ctx); err != nil {
				return err
			}
		}
	}
	since := time.Now()
	return h.await(ctx, "somebody signs", func() (bool, error) {
		if len(h.tally.By(0, since)) > 0 || len(h.tally.By(1, since)) > 0 {
			return true, nil
		}
		_, err := h.handover(ctx, h.any())
		return false, err
	})
}
