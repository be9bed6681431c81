package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"highwater/test/harness"
)

// sample is the resources of the daemon at one moment.
type sample struct {
	signatures float64 // up to now
	values     [quantities]float64
}

// String is a line of progress.
func (s sample) String() string {
	out := fmt.Sprintf("%.0f signatures", s.signatures)
	for i, v := range s.values {
		out += fmt.Sprintf(", %s %.1f", limits[i].name, v/limits[i].unit)
	}
	return out
}

// The quantities that must not grow.
const (
	memory      = iota // resident, in bytes
	goroutines         //
	descriptors        // open files and sockets
	file               // size of the watermark file, in bytes
	quantities
)

// limits are the largest growth from start to end: a factor and a fixed amount. The memory of a Go program moves with
// the collector, and connections come and go.
var limits = [quantities]struct {
	name          string
	unit          float64
	factor, slack float64
}{
	memory:      {"memory MiB", 1 << 20, 1.15, 4 << 20},
	goroutines:  {"goroutines", 1, 1.2, 8},
	descriptors: {"descriptors", 1, 1.2, 8},
	file:        {"marks.db KiB", 1 << 10, 1.1, 64 << 10},
}

// look takes a sample.
func look(ctx context.Context, d *harness.Daemon) (sample, error) {
	m, err := d.Metrics(ctx)
	if err != nil {
		return sample{}, err
	}
	size, err := d.MarksSize()
	if err != nil {
		return sample{}, err
	}
	s := sample{signatures: m["highwater_signatures_total"]}
	s.values = [quantities]float64{
		m["process_resident_memory_bytes"], m["go_goroutines"], m["process_open_fds"], float64(size),
	}
	for i, v := range s.values {
		if v == 0 {
			return s, fmt.Errorf("the daemon does not tell its %s", limits[i].name)
		}
	}
	return s, nil
}

// fifths are the medians of each fifth of the samples.
func fifths(seen []sample, quantity int) (out [5]float64) {
	for i := range out {
		part := seen[len(seen)*i/5 : len(seen)*(i+1)/5]
		values := make([]float64, 0, len(part))
		for _, s := range part {
			values = append(values, s.values[quantity])
		}
		slices.Sort(values)
		out[i] = values[len(values)/2]
	}
	return out
}

// fewest is how many samples a judgement wants.
const fewest = 25

// judge compares the first fifth with the last.
func judge(seen []sample) error {
	if len(seen) < fewest {
		return fmt.Errorf("%d samples are too few to judge by: soak for longer", len(seen))
	}
	var errs []error
	for i, l := range limits {
		f := fifths(seen, i)
		if f[4] > f[0]*l.factor+l.slack {
			errs = append(errs, fmt.Errorf("%s grew from %.1f to %.1f", l.name, f[0]/l.unit, f[4]/l.unit))
		}
	}
	return errors.Join(errs...)
}

// table shows the medians of each fifth.
func table(seen []sample) string {
	w := &strings.Builder{}
	if len(seen) < fewest {
		return ""
	}
	fmt.Fprintf(w, "%-14s %9s %9s %9s %9s %9s\n", "median of", "1st fifth", "2nd", "3rd", "4th", "5th")
	for i, l := range limits {
		fmt.Fprintf(w, "%-14s", l.name)
		for _, v := range fifths(seen, i) {
			fmt.Fprintf(w, " %9.1f", v/l.unit)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%.0f signatures\n", seen[len(seen)-1].signatures)
	return w.String()
}

// settles waits until goroutines and descriptors are back at their numbers before the load.
func settles(ctx context.Context, d *harness.Daemon, idle sample) error {
	const patience, left = 20 * time.Second, 3
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		now, err := look(ctx, d)
		if err != nil {
			return err
		}
		if now.values[goroutines] <= idle.values[goroutines]+left &&
			now.values[descriptors] <= idle.values[descriptors]+left {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s after the load %.0f goroutines and %.0f descriptors are left of it, where %.0f and %.0f "+
				"were before",
				patience, now.values[goroutines], now.values[descriptors], idle.values[goroutines], idle.values[descriptors])
		}
		<-tick.C
	}
}
