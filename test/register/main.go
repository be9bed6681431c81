// Command register lets three machines share the right to sign through a real etcd of three members, breaks each part
// in turn, and judges every signature.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("binary", "bin/highwater", "the program")
	run := flag.String("run", "", "only scenarios whose names hold this")
	ahead := flag.Int("ahead", 3, "levels ahead")
	interval := flag.Duration("interval", 1500*time.Millisecond, "from block to block")
	schedules := flag.Int("schedules", 1, "random schedules")
	seed := flag.Uint64("seed", 1, "of the first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := lab(ctx, *binary, *run, *ahead, *interval, *schedules, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func lab(ctx context.Context, binary, run string, ahead int, interval time.Duration, schedules int, seed uint64) (
	err error,
) {
	dir, err := os.MkdirTemp("", "register")
	if err != nil {
		return err
	}
	all := scenarios()
	for i := range schedules {
		all = append(all, storm(seed+uint64(i), 12))
	}
	w, err := newWorld(ctx, binary, dir, ahead, interval)
	defer func() {
		err = errors.Join(err, w.end())
		if err == nil {
			err = os.RemoveAll(dir)
		} else {
			err = fmt.Errorf("%w\nlogs: %s", err, dir)
		}
	}()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(os.Stdout, "three machines, ahead %d, a block each %s\n\n%-40s %8s %7s %8s\n", ahead, interval, "",
		"gap s", "missed", "doubles")
	for _, s := range all {
		if !strings.Contains(s.name, run) {
			continue
		}
		if err := w.try(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return w.alarms(ctx)
}

// try runs a scenario, prints its line, and checks the cost against the scenario's bound.
func (w *world) try(ctx context.Context, s scenario) error {
	owner := w.owner(ctx)
	if owner == nil {
		return errors.Join(errors.New("nobody signs before it"), w.words(ctx))
	}
	if err := w.levels(ctx, 1); err != nil {
		return err
	}
	from, _ := w.now()
	since := time.Now()
	if err := s.do(ctx, w, owner); err != nil {
		return err
	}
	if err := w.levels(ctx, 2); err != nil {
		return err
	}
	to, _ := w.now()
	missed, doubles := w.missed(from, to-1), w.judge.Doubles()
	_, _ = fmt.Fprintf(os.Stdout, "%-40s %8.2f %7d %8d\n", s.name, w.gap(since).Seconds(), missed, len(doubles))
	switch {
	case len(doubles) > 0:
		return fmt.Errorf("signed twice: %v", doubles)
	case missed > s.most(w.ahead):
		return errors.Join(fmt.Errorf("%d levels were missed, and %d may be", missed, s.most(w.ahead)), w.words(ctx))
	}
	return nil
}

// alarms fails on any alarm: no machine may take a sister machine for a foreign signer.
func (w *world) alarms(ctx context.Context) error {
	var errs []error
	for _, m := range w.machines {
		st, err := m.status(ctx)
		errs = append(errs, err)
		for _, a := range st.Alarms {
			errs = append(errs, fmt.Errorf("machine %d: alarm %s: %s", m.index, a.Name, a.Text))
		}
	}
	return errors.Join(errs...)
}
