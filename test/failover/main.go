// Command failover drives two real instances, each on a machine of its own (a network namespace), through handovers,
// takeovers, crashes, power cuts and cut links. Both machines have devices with the same keys, an octez node, and
// bakers that never stop asking. A judge keeps every signature. See docs/testing.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"highwater/test/failover/network"
)

// options are the options of the command line.
type options struct {
	binary   string
	skewed   string
	run      string
	seed     uint64
	json     bool
	list     bool
	parallel int
	keep     bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/highwater", "the program")
	flag.StringVar(&o.skewed, "skewed", "bin/highwater-skewed", "the program as built by test/failover/skewed.sh")
	flag.StringVar(&o.run, "run", "", "only the scenarios with names that match the regular expression")
	flag.Uint64Var(&o.seed, "seed", 0, "of all random choices; 0: a new seed in each run")
	flag.BoolVar(&o.json, "json", false, "print the results as JSON")
	flag.BoolVar(&o.list, "list", false, "print the names of the scenarios")
	flag.IntVar(&o.parallel, "parallel", 4, "number of parallel scenarios, except the measuring scenarios")
	flag.BoolVar(&o.keep, "keep", false, "keep the directories with configurations, states and logs")
	flag.Parse()
	status, err := start(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		status = 1
	}
	os.Exit(status)
}

func start(o options) (int, error) {
	switch {
	case o.list:
		_, err := os.Stdout.WriteString(names())
		return 0, err
	case !network.Isolated():
		return network.Isolate()
	}
	if err := network.Settle(); err != nil {
		return 1, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := runAll(ctx, o)
	if err != nil {
		return 1, err
	}
	text := r.table()
	if o.json {
		if text, err = r.json(); err != nil {
			return 1, err
		}
	}
	if _, err = os.Stdout.WriteString(text); err != nil || !r.Passed {
		return 1, err
	}
	return 0, nil
}

// runAll runs the chosen scenarios: first the measuring scenarios, alone; then the rest in parallel.
func runAll(ctx context.Context, o options) (report, error) {
	want, err := regexp.Compile(o.run)
	if err != nil {
		return report{}, err
	}
	for _, path := range []*string{&o.binary, &o.skewed} {
		if *path, err = filepath.Abs(*path); err != nil {
			return report{}, err
		}
	}
	if o.seed == 0 {
		o.seed = rand.Uint64() >> 32 //nolint:gosec // no secret
	}
	fmt.Fprintf(os.Stderr, "seed %d\n", o.seed)
	dir, err := os.MkdirTemp("", "hwlab-")
	if err != nil {
		return report{}, err
	}
	var chosen []scenario
	for _, s := range scenarios() {
		if want.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return report{}, errors.New("no scenario has a matching name; -list prints the names")
	}
	begin, results := time.Now(), make([]result, len(chosen))
	turns := make(chan struct{}, max(o.parallel, 1))
	var wg sync.WaitGroup
	for _, measured := range []bool{true, false} {
		for i, s := range chosen {
			if s.measured != measured {
				continue
			}
			turns <- struct{}{}
			wg.Go(func() {
				defer func() { <-turns }()
				results[i] = runOne(ctx, o, s, dir, i)
			})
			if measured {
				wg.Wait()
			}
		}
		wg.Wait()
	}
	r := newReport(o.seed, results, time.Since(begin))
	if r.Passed && !o.keep {
		err = os.RemoveAll(dir)
	}
	return r, err
}

// scenarioTimeout bounds each scenario.
const scenarioTimeout = 6 * time.Minute

// runOne builds a world, lets the scenario happen, and judges.
func runOne(ctx context.Context, o options, s scenario, dir string, index int) result {
	ctx, cancel := context.WithTimeout(ctx, scenarioTimeout)
	defer cancel()
	begin, at := time.Now(), filepath.Join(dir, s.name)
	err := os.Mkdir(at, 0o700)
	var w *world
	binary := o.binary
	if s.skewed {
		binary = o.skewed
	}
	if err == nil {
		w, err = newWorld(ctx, s, binary, at, fmt.Sprintf("hw%d", index), o.seed)
	}
	if err == nil {
		err = s.run(ctx, w)
	}
	r := result{Name: s.name}
	if w != nil {
		err = errors.Join(err, w.close(context.WithoutCancel(ctx)))
		err = errors.Join(err, w.verdict())
		r = w.result
	}
	r.TookMS, r.Passed = time.Since(begin).Milliseconds(), err == nil
	if err != nil {
		r.Error, r.Log = err.Error(), at
	}
	fmt.Fprintf(os.Stderr, "%-16s %s\n", s.name, map[bool]string{true: "ok", false: "FAILED"}[r.Passed])
	return r
}

// verdict is the judge's verdict: no place is signed twice, except in a scenario about doubles.
func (w *world) verdict() error {
	doubles := w.tally.Doubles()
	w.result.Signatures, w.result.Doubles, w.result.Expected = w.tally.Signed(), len(doubles), w.doubles
	if len(doubles) > 0 && !w.doubles {
		return fmt.Errorf("%d double signatures, the first: %s", len(doubles), doubles[0])
	}
	if w.result.Signatures == 0 {
		return errors.New("nothing was signed at all")
	}
	for _, name := range sideNames { // a side without requests proves nothing
		if n := w.tally.Refused(name); n == 0 && !w.alone {
			return fmt.Errorf("the bakers of %s were never refused anything", name)
		}
	}
	return nil
}
