// Command bench measures Highwater side by side with less durable signers, in one run, and prints the targets, ratios
// first.
//
// Every compared signer is a process of its own with the same HTTP settings, asked by the same client, in turns of a
// slice each, on the same disk. See docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"highwater/test/harness"
)

type options struct {
	plan
	signatures int64
	check      bool
	margin     float64
	pace       time.Duration // how long each cell at a baker's pace takes
	paceOnly   bool
	transports bool   // compare only the protocols
	register   bool   // only compare with and without a register
	watch      bool   // only compare with and without all that watches
	cell       string // be the process of a cell at a baker's pace
	beside     string // another build to compare with, and nothing else

	// of a floor's own process
	floor, listen string
	keys          int
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

var errMissed = errors.New("a target was missed")

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "highwater", "bin/highwater", "the program to measure")
	f.StringVar(&o.dir, "dir", ".cache", "measure the disk of the `directory`; state goes into a new directory below")
	f.DurationVar(&o.slice, "slice", 250*time.Millisecond, "length of a turn under load")
	f.IntVar(&o.turns, "turns", 8, "turns of each compared signer")
	f.Int64Var(&o.signatures, "signatures", 100_000,
		"`count` of signatures before the look at the size of marks.db (target: 1000000)")
	f.BoolVar(&o.check, "check", false, "exit 1 when a target is missed")
	f.Float64Var(&o.margin, "margin", 1,
		"allowed factor above each target, e.g. 1.5, for a shared machine")
	f.StringVar(&o.beside, "beside", "",
		"only compare with the second `build` of the program, in turns: for judging a change")
	f.DurationVar(&o.pace, "pace", time.Minute,
		"how long each of the two cells at a baker's pace takes; 10m for requests lost in ten minutes")
	f.DurationVar(&o.level, "level", 2*time.Second, "the time of a level at a baker's pace; 6s on mainnet")
	f.BoolVar(&o.transports, "transports-only", false, "only compare HTTP and the socket protocol")
	f.BoolVar(&o.register, "register-only", false, "only compare the program with and without a register, for -pace")
	f.BoolVar(&o.watch, "watch-only", false,
		"only compare the program with and without page, metrics, audit log and a node with rights")
	f.BoolVar(&o.paceOnly, "pace-only", false,
		"only two cells: lateness on a stalling disk, and on a saturated disk")
	f.StringVar(&o.cell, "cell", "", "be the process of a cell at a baker's pace (stalled, saturated, awake; for the "+
		"benchmark itself)")
	f.StringVar(&o.runtime, "runtime", "", "with -cell: the runtime `directory`")
	f.StringVar(&o.floor, "floor", "",
		"be a compared signer (append, group, file; for the benchmark itself)")
	f.StringVar(&o.listen, "listen", "", "with -floor: the `address`")
	f.IntVar(&o.keys, "keys", 1, "with -floor: the number of keys")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.slice < 10*time.Millisecond || o.turns < 1 || o.signatures < 1 || o.keys < 1 || !(o.margin >= 1) ||
		o.level < time.Second || o.pace < 2*o.level {
		return o, errors.New("-slice is at least 10ms, -level 1s, -pace two levels; -turns, -signatures, -keys and " +
			"-margin are at least 1")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.floor != "" {
		return serveFloor(ctx, o.floor, o.dir, o.listen, o.keys)
	}
	if o.cell != "" {
		return o.child(ctx, o.cell, stdout)
	}
	if o.runtime, err = harness.NewRuntime(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.runtime)) }() //nolint:gosec // made just above
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if err = os.MkdirAll(o.dir, 0o700); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }() //nolint:gosec // made just now
	if o.beside != "" {
		if o.beside, err = filepath.Abs(o.beside); err != nil {
			return err
		}
		return o.measureBeside(ctx, o.beside, stdout, stderr)
	}
	rows, err := o.measure(ctx, stdout, stderr)
	if err != nil {
		return err
	}
	if o.check && anyMissed(rows) {
		return errMissed
	}
	return nil
}

// measure measures and prints everything; progress goes to stderr.
func (o options) measure(ctx context.Context, stdout, stderr io.Writer) ([]row, error) {
	start := time.Now()
	progress := func(format string, args ...any) {
		_, _ = fmt.Fprintf(stderr, "%5.0f s  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...)) // a courtesy
	}
	m := measured{margin: o.margin}
	var err error
	if o.transports {
		if m.onDisk, m.inMemory, err = o.measureTransports(ctx); err != nil {
			return nil, err
		}
		rows := m.transportRows()
		return rows, printRows(stdout, rows)
	}
	if o.register {
		if m.shared, err = o.measureShared(ctx, o.pace); err != nil {
			return nil, err
		}
		rows := m.sharedRows()
		return rows, errors.Join(printRows(stdout, rows), printPaced(stdout, m))
	}
	if o.watch {
		if m.watched, err = o.measureWatched(ctx); err != nil {
			return nil, err
		}
		rows := m.watchRows()
		return rows, printRows(stdout, rows)
	}
	m.noSlow = canSlowDisk(ctx)
	disks := []bool{false, true}
	if m.noSlow != nil {
		progress("no slow disk: %v", m.noSlow)
		disks = disks[:1]
	}
	progress("at a baker's pace")
	if m.device, err = deviceAlone(ctx, deviceLatency, 200); err != nil {
		return nil, err
	}
	if err = o.measurePace(ctx, &m); err != nil {
		return nil, err
	}
	if o.paceOnly {
		rows := m.paceRows()
		return rows, errors.Join(printRows(stdout, rows), printPaced(stdout, m))
	}
	for _, slow := range disks {
		for _, keys := range keyCounts {
			progress("%d keys, disk %s", keys, cell{slow: slow}.disk())
			cells, keysErr := o.measureKeys(ctx, keys, slow)
			if keysErr != nil {
				return nil, fmt.Errorf("%d keys: %w", keys, keysErr)
			}
			m.cells = append(m.cells, cells...)
		}
	}
	progress("HTTP and the socket protocol")
	if m.onDisk, m.inMemory, err = o.measureTransports(ctx); err != nil {
		return nil, fmt.Errorf("the socket protocol: %w", err)
	}
	progress("with and without a register")
	if m.shared, err = o.measureShared(ctx, o.pace); err != nil {
		return nil, fmt.Errorf("with a register: %w", err)
	}
	progress("with and without all that watches")
	if m.watched, err = o.measureWatched(ctx); err != nil {
		return nil, fmt.Errorf("watched: %w", err)
	}
	progress("bbolt's Batch")
	if m.batch, m.update, err = batchTimes(o.dir, 30); err != nil {
		return nil, err
	}
	progress("%d keys, %d signatures", manyKeys, o.signatures)
	if m.many, err = o.measureMany(ctx, o.signatures); err != nil {
		return nil, err
	}
	progress("a re-plugged device")
	if m.replug, err = o.measureReplug(ctx); err != nil {
		return nil, fmt.Errorf("re-plugged: %w", err)
	}
	progress("handovers")
	if m.gaps, err = o.measureHandover(ctx); err != nil {
		return nil, fmt.Errorf("handover: %w", err)
	}
	rows := m.rows()
	return rows, m.print(stdout, o, rows, time.Since(start))
}
