package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// A baker's pace: a level every two seconds, or as -level says; at each a preattestation, and 300 ms later the
// attestation; every blockEvery levels a block first.
const (
	blockAfter  = 0
	preAfter    = 200 * time.Millisecond
	attestAfter = 500 * time.Millisecond
	blockEvery  = 4
	warmLevels  = 2 // are not counted: the first requests of a run wait for the disk
)

// paced is a signer asked at a baker's pace, with its results.
type paced struct {
	Name    string
	Latency []time.Duration
	Lost    []string // requests without a signature
	Levels  int
	Commits float64 // since the first counted level, like Waits; zero for a floor
	Waits   float64 // requests that waited for the disk

	asked *contender
	from  *daemon // nil: a floor
	clock time.Duration
}

func (c paced) p50() time.Duration { return quantile(c.Latency, 0.50) }
func (c paced) p99() time.Duration { return quantile(c.Latency, 0.99) }

// pace asks all signers at once, each at moments of its own, for a time.
func pace(ctx context.Context, all []*paced, level, limit time.Duration) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, c := range all {
		c.clock = level * time.Duration(i) / time.Duration(len(all))
		wg.Go(func() { errs[i] = c.bake(ctx, level, int(limit/level)) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// bake asks at the given number of levels, one for each period, and at some levels before for a warm-up.
func (c *paced) bake(ctx context.Context, every time.Duration, levels int) error {
	begin := time.Now().Add(c.clock)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var before harness.Metrics
	for n := range levels + warmLevels {
		if n == warmLevels && c.from != nil {
			var err error
			if before, err = c.from.Metrics(ctx); err != nil {
				return err
			}
		}
		level := c.asked.keys[0].level.Add(1)
		at := begin.Add(time.Duration(n) * every)
		requests := map[tezos.Kind]time.Duration{tezos.Preattestation: preAfter, tezos.Attestation: attestAfter}
		if n%blockEvery == 0 {
			requests[tezos.Block] = blockAfter
		}
		for kind, after := range requests {
			wg.Go(func() {
				<-time.After(time.Until(at.Add(after)))
				took, err := c.ask(ctx, baker.Step{Chain: benchChain, Kind: kind, Level: level})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					c.Lost = append(c.Lost, fmt.Sprintf("%s at level %d after %s: %v", kind, level, took.Round(time.Millisecond), err))
				case n >= warmLevels:
					c.Latency = append(c.Latency, took)
				}
			})
		}
		select {
		case <-time.After(time.Until(at.Add(every))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	wg.Wait()
	if c.Levels = levels; c.from == nil {
		return nil
	}
	after, err := c.from.Metrics(ctx)
	since := after.Since(before)
	c.Commits, c.Waits = since["highwater_commit_seconds_count"], since["highwater_disk_waits_total"]
	return err
}

// ask asks as octez does: the authorized keys first, a new connection for each.
func (c *paced) ask(ctx context.Context, step baker.Step) (time.Duration, error) {
	client := baker.New(c.asked.base, false)
	defer client.Close()
	payload := step.Payload(tezos.Ed25519)
	start := time.Now()
	sig, err := client.Ask(ctx, c.asked.keys[0].public, payload)
	took := time.Since(start)
	if err == nil {
		err = c.asked.keys[0].public.Verify(payload, sig)
	}
	return took, err
}

// pacedDisk is a disk with its signers at a baker's pace.
type pacedDisk struct {
	name  string
	ahead int           // of a program; below zero: floorPaced or noMark
	delay time.Duration // added to each sync
}

// Special values of levels ahead: the floor, and a signer that waits for deviceLatency, signs, and remembers nothing.
const (
	floorPaced = -1
	noMark     = -2
)

// measurePaced starts the signers in a directory, each with a delay on a disk of its own; asks between begin and end;
// and stops the signers.
func (p plan) measurePaced(
	ctx context.Context, dir string, disks []pacedDisk, limit time.Duration, begin, end func(),
) (out []*paced, err error) {
	var mounted []string
	defer func() {
		end()
		for _, c := range out {
			err = errors.Join(err, c.asked.process.Stop())
		}
		for _, at := range mounted {
			err = errors.Join(err, unmount(ctx, at))
		}
	}()
	for _, d := range disks {
		at := dir
		if d.delay > 0 {
			if at, err = mountDisk(ctx, dir, stalling(d.delay)); err != nil {
				return out, fmt.Errorf("%s: %w", d.name, err)
			}
			mounted = append(mounted, at)
		}
		c, err := p.startPaced(ctx, at, d)
		if err != nil {
			return out, fmt.Errorf("%s: %w", d.name, err)
		}
		out = append(out, c)
	}
	begin()
	return out, pace(ctx, out, p.level, limit)
}

// startPaced starts a signer in a directory.
func (p plan) startPaced(ctx context.Context, dir string, d pacedDisk) (c *paced, err error) {
	c = &paced{Name: d.name}
	switch d.ahead {
	case floorPaced:
		c.asked, err = startFloorUnder(ctx, dir, floorAppend, 1, nil)
	case noMark:
		c.asked, err = startFloorUnder(ctx, dir, floorNone, 1, nil)
	default:
		store := harness.Store{Ahead: d.ahead, Runtime: p.runtime}
		c.from, err = startDaemonUnder(ctx, p.binary, dir, 1, deviceLatency, nil, store)
		if err == nil {
			c.asked = c.from.contender
		}
	}
	return c, err
}

// stalling is a disk with a delay of each sync.
func stalling(delay time.Duration) diskKind {
	return diskKind{size: 64 << 20, stall: delay, plain: true}
}

// stallSync is the delay of each sync of a stalling disk.
const stallSync = 100 * time.Millisecond

// stalled are the signers on a stalling disk, and signers for the cost of a usual disk.
var stalled = []pacedDisk{
	{"floor, each sync +100 ms", floorPaced, stallSync},
	{"ahead 0, each sync +100 ms", 0, stallSync},
	{"ahead 1, each sync +100 ms", 1, stallSync},
	{"ahead 2, each sync +100 ms", 2, stallSync},
	{"ahead 2, each sync +2 ms", defaultAhead, slowSync},
	{"ahead 2, disk as it is", defaultAhead, 0},
	{"no mark at all, HTTP alone", noMark, 0},
}

// busy are the signers on a disk saturated by a writer.
var busy = []pacedDisk{
	{"floor, saturated disk", floorPaced, 0},
	{"ahead 1, saturated disk", 1, 0},
	{"ahead 2, saturated disk", 2, 0},
	{"no mark at all, beside the writer", noMark, 0},
}
