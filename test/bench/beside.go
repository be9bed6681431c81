package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"highwater/test/harness"
)

// measureBeside compares two builds of the program. Both are asked in turns, so that a disturbance of the machine hits
// both. The comparison judges one change, and ignores the targets.
func (p plan) measureBeside(ctx context.Context, other string, stdout, stderr io.Writer) error {
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	// Flush reports.
	_, _ = fmt.Fprintln(t, "KEYS\tDEVICE\tCLIENT\tRATE\tp50\tCPU\tALLOCATIONS\tnow: "+
		"rate\tp50\tCPU\tallocations\tother: rate\tp50\tCPU\tallocations\t")
	for _, s := range []struct {
		keys   int
		device time.Duration
	}{{1, 0}, {1, deviceLatency}, {64, 0}} {
		_, _ = fmt.Fprintf(stderr, "%d keys, device of %s\n", s.keys, s.device) // a courtesy
		cells, err := p.besideKeys(ctx, other, s.keys, s.device)
		if err != nil {
			return err
		}
		for _, c := range cells {
			now, then := c.side(0), c.side(1)
			// Flush reports.
			_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%.3f ×\t%.3f ×\t%.3f ×\t%.3f ×\t%s\t%s\t\n", s.keys, s.device, c.style.name,
				rateRatio(c.slices[0], c.slices[1]),
				ratio(now.p50, then.p50), ratio(now.cpu, then.cpu), ratio(now.allocations, then.allocations), now, then)
		}
	}
	return t.Flush()
}

// pair is a cell of two builds.
type pair struct {
	style  style
	slices [2][]sample
	cpu    [2]time.Duration
	use    [2]usage
}

// side is the cost of a signature in one build: microseconds, and a count.
type side struct{ rate, p50, cpu, allocations float64 }

func (s side) String() string {
	return fmt.Sprintf("%.0f/s\t%.0f µs\t%.0f µs\t%.1f", s.rate, s.p50, s.cpu, s.allocations)
}

func (c pair) side(i int) side {
	all := merge(c.slices[i]...)
	n := float64(len(all.latency))
	return side{
		all.rate(), float64(all.p50().Microseconds()), ratio(float64(c.cpu[i].Microseconds()), n),
		ratio(c.use[i].allocations, c.use[i].signatures),
	}
}

func (p plan) besideKeys(ctx context.Context, other string, keys int, device time.Duration) (cells []pair, err error) {
	var builds []*daemon
	defer func() {
		for _, d := range builds {
			err = errors.Join(err, d.Stop())
		}
	}()
	for _, binary := range []string{p.binary, other} {
		d, err := p.startBuild(ctx, binary, keys, device)
		if err != nil {
			return nil, err
		}
		builds = append(builds, d)
	}
	for _, s := range []style{keptStyle, octezStyle} {
		c := pair{style: s}
		for turn := range p.turns + 1 {
			for i := range builds {
				// each build is first in half of the turns
				if err := p.besideTurn(ctx, &c, (i+turn)%2, builds, turn == 0); err != nil {
					return nil, err
				}
			}
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// startBuild starts a build, possibly an old build without [store].
func (p plan) startBuild(ctx context.Context, binary string, keys int, device time.Duration) (*daemon, error) {
	d, err := startDaemonUnder(ctx, binary, p.dir, keys, device, nil, p.store())
	if err != nil && strings.Contains(err.Error(), "store") {
		return startDaemonUnder(ctx, binary, p.dir, keys, device, nil, harness.Store{Unknown: true})
	}
	return d, err
}

// besideTurn asks one build for one slice. The first turn is a warm-up and does not count.
func (p plan) besideTurn(ctx context.Context, c *pair, i int, builds []*daemon, warmUp bool) error {
	d := builds[i]
	before, err := d.Metrics(ctx)
	if err != nil {
		return err
	}
	cpu := processorTime(d.PID())
	s, err := load(ctx, d.contender, c.style, p.slice, 0)
	if err != nil || warmUp {
		return err
	}
	c.cpu[i] += processorTime(d.PID()) - cpu
	c.slices[i] = append(c.slices[i], s)
	after, err := d.Metrics(ctx)
	if err != nil {
		return err
	}
	c.use[i].add(after.Since(before))
	return nil
}
