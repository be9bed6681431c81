package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"highwater/test/harness"
)

// who names a contender of a cell.
type who int

const (
	zeroDevice who = iota // highwater with devices of zero latency
	slowDevice            // highwater with devices of deviceLatency
	theFloor              // append and sync: one after the other for one key, together for more keys
	fileModel             // our model of a file watermark without any sync; only with the disk as it is
	bareHTTP              // a wait of deviceLatency and a signature, without memory; only for one key
	whoCount
)

const deviceLatency = 5 * time.Millisecond

// keyCounts are the numbers of concurrent keys.
var keyCounts = []int{1, 4, 16, 64}

// cell is one place of the matrix: a number of keys, a disk, a style. All contenders are asked in turns, slice by
// slice, so that a disturbance of the machine hits all.
type cell struct {
	keys   int
	slow   bool
	style  style
	slices [whoCount][]sample
	disks  []diskTimes // in the same turns
	use    usage       // of the zero-latency highwater in its slices
	cpu    [whoCount]time.Duration
	client time.Duration // the client's processor time, in all slices
}

// usage is the cost of a signature.
type usage struct {
	signatures, commits, allocations float64
}

func (c cell) disk() string {
	if c.slow {
		return fmt.Sprintf("+%d ms", slowSync.Milliseconds())
	}
	return "as it is"
}

func (c cell) merged(w who) sample { return merge(c.slices[w]...) }

// cpuOf is the processor time for a signature in microseconds.
func (c cell) cpuOf(w who) float64 {
	return ratio(float64(c.cpu[w].Microseconds()), float64(len(c.merged(w).latency)))
}

// against compares highwater with zero-latency devices with another contender: the median over the turns of the ratio
// of rates.
func (c cell) against(w who) float64 { return rateRatio(c.slices[zeroDevice], c.slices[w]) }

// sync and commit are the medians of the disk's times.
func (c cell) sync() time.Duration {
	var all []time.Duration
	for _, d := range c.disks {
		all = append(all, d.Sync)
	}
	return quantile(all, 0.5)
}

func (c cell) commit() time.Duration {
	var all []time.Duration
	for _, d := range c.disks {
		all = append(all, d.Commit)
	}
	return quantile(all, 0.5)
}

// plan is how long everything takes.
type plan struct {
	binary, dir string
	runtime     string        // a directory on a tmpfs
	level       time.Duration // at a baker's pace
	slice       time.Duration
	turns       int
}

// measureKeys gives the cells of one number of keys on one disk.
func (p plan) measureKeys(ctx context.Context, keys int, slow bool) (cells []cell, err error) {
	var asked [whoCount]*contender
	defer func() {
		for _, c := range asked {
			if c != nil && c.process != nil {
				err = errors.Join(err, c.process.Stop())
			}
		}
	}()
	fast, err := p.startDaemon(ctx, keys, 0, slow)
	if err != nil {
		return nil, err
	}
	asked[zeroDevice] = fast.contender
	real5, err := p.startDaemon(ctx, keys, deviceLatency, slow)
	if err != nil {
		return nil, err
	}
	asked[slowDevice] = real5.contender
	floorName := floorGroup
	if keys == 1 {
		floorName = floorAppend
	}
	if asked[theFloor], err = startFloor(ctx, p.dir, floorName, keys, slow); err != nil {
		return nil, err
	}
	if keys == 1 {
		if asked[bareHTTP], err = startFloor(ctx, p.dir, floorNone, keys, slow); err != nil {
			return nil, err
		}
	}
	if !slow {
		if asked[fileModel], err = startFloor(ctx, p.dir, floorFile, keys, slow); err != nil {
			return nil, err
		}
	}
	for _, s := range styles {
		c := cell{keys: keys, slow: slow, style: s}
		if err := p.turnsOf(ctx, &c, asked, fast); err != nil {
			return nil, err
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// turnsOf asks all contenders in turns. The first turn is a warm-up and does not count.
func (p plan) turnsOf(ctx context.Context, c *cell, asked [whoCount]*contender, fast *daemon) error {
	for turn := range p.turns + 1 {
		slice := p.slice
		if turn == 0 {
			slice /= 4
		}
		for w, contender := range asked {
			if contender == nil {
				continue
			}
			if err := p.turnOf(ctx, c, who(w), contender, slice, turn == 0, fast); err != nil {
				return err
			}
		}
		d, err := asked[theFloor].probe(ctx)
		if err != nil {
			return err
		}
		c.disks = append(c.disks, d)
	}
	return nil
}

// turnOf asks one contender for one slice, and reads the cost.
func (p plan) turnOf(ctx context.Context, c *cell, w who, asked *contender, slice time.Duration, warmUp bool,
	fast *daemon,
) error {
	before, err := fast.Metrics(ctx)
	if err != nil {
		return err
	}
	theirs, own := processorTime(asked.process.PID()), processorTime(os.Getpid())
	s, err := load(ctx, asked, c.style, slice, 0)
	if err != nil || warmUp {
		return err
	}
	c.cpu[w] += processorTime(asked.process.PID()) - theirs
	c.client += processorTime(os.Getpid()) - own
	c.slices[w] = append(c.slices[w], s)
	if w != zeroDevice {
		return nil
	}
	after, err := fast.Metrics(ctx)
	if err != nil {
		return err
	}
	c.use.add(after.Since(before))
	return nil
}

func (u *usage) add(m harness.Metrics) {
	u.signatures += m["highwater_signatures_total"]
	u.commits += m["highwater_commit_seconds_count"]
	u.allocations += m["go_memstats_mallocs_total"]
}
