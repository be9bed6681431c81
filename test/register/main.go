// Command register lets three machines share the right to sign through a real etcd of three members, breaks each part
// in turn, and judges every signature. Each machine has a network of its own, where the kernel allows network
// namespaces.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"highwater/test/failover/network"
)

// options are the flags.
type options struct {
	binary, etcd, run, dir string
	ahead, schedules       int
	interval               time.Duration
	seed                   uint64
	away                   time.Duration
	proxies                bool

	name    string // of the part, in the names of its networks
	direct  bool   // machines speak to the members without proxies
	refusal error  // of the namespaces
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "bin/highwater", "the program")
	flag.StringVar(&o.etcd, "etcd", "etcd", "the server of the register; with a comma, servers for the parts of the "+
		"scenarios in turn")
	flag.StringVar(&o.run, "run", "", "only scenarios with this in the name")
	flag.IntVar(&o.ahead, "ahead", 3, "levels ahead")
	flag.DurationVar(&o.interval, "interval", 1500*time.Millisecond, "from block to block")
	flag.IntVar(&o.schedules, "schedules", 1, "random schedules")
	flag.DurationVar(&o.away, "away", time.Minute, "how long the majority of the register is away; 1h for an hour")
	flag.Uint64Var(&o.seed, "seed", 1, "of the first")
	flag.BoolVar(&o.proxies, "proxies", false, "all machines in one network, and the losses in proxies")
	flag.Parse()
	status, err := start(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		status = 1
	}
	os.Exit(status)
}

// start runs the lab in network namespaces of its own. A machine without the permission has all in one network.
func start(o options) (int, error) {
	switch {
	case network.Isolated():
		if err := network.Settle(); err != nil {
			return 1, err
		}
	case o.proxies:
		o.refusal = errors.New("-proxies")
	default:
		status, err := network.Isolate()
		if !errors.Is(err, network.ErrRefused) {
			return status, err
		}
		o.refusal = err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return 0, lab(ctx, o)
}

// links tells how the links between the machines are made.
func (o options) links() string {
	if o.refusal != nil {
		why := strings.ReplaceAll(o.refusal.Error(), "\n", "; ")
		return "all in one network, with proxies that lose bytes; no namespaces: " + why
	}
	return "each in a network namespace, with links that lose packets"
}

// lab runs the parts of the scenarios beside each other, each on three machines of its own.
func lab(ctx context.Context, o options) error {
	machinesFail := append(scenarios(), turns()...)
	for i := range o.schedules {
		machinesFail = append(machinesFail, storm(o.seed+uint64(i), 12))
	}
	_, _ = fmt.Fprintf(os.Stdout, "three machines, ahead %d, a block each %s\n%s\n\n%-44s %8s %7s %8s\n",
		o.ahead, o.interval, o.links(), "", "gap s", "missed", "doubles")
	var all sync.WaitGroup
	parts := []struct {
		scenarios []scenario
		direct    bool
	}{
		{machinesFail, true}, {append(lateWrites(), badDays()...), false}, {append(partitions(), leaders(o.away)...), true},
	}
	errs := make([]error, len(parts))
	servers := strings.Split(o.etcd, ",")
	for i, part := range parts {
		o := o
		o.etcd, o.name, o.direct = servers[i%len(servers)], fmt.Sprintf("part%d", i), part.direct && o.refusal == nil
		all.Go(func() { errs[i] = o.part(ctx, part.scenarios) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// part runs scenarios on three machines.
func (o options) part(ctx context.Context, all []scenario) (err error) {
	all = slices.DeleteFunc(all, func(s scenario) bool { return !strings.Contains(s.name, o.run) })
	if len(all) == 0 {
		return nil
	}
	if o.dir, err = os.MkdirTemp("", "register"); err != nil {
		return err
	}
	w, err := newWorld(ctx, o)
	defer func() {
		err = errors.Join(err, w.end())
		if err == nil {
			err = os.RemoveAll(o.dir)
		} else {
			err = fmt.Errorf("%w\nlogs: %s", err, o.dir)
		}
	}()
	if err != nil {
		return err
	}
	for _, s := range all {
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
	w.note = ""
	if err := s.do(ctx, w, owner); err != nil {
		return err
	}
	if err := w.levels(ctx, 2); err != nil {
		return err
	}
	to, _ := w.now()
	missed, doubles := w.missed(from, to-1), w.judge.Doubles()
	line := fmt.Sprintf("%-44s %8.2f %7d %8d  %s", s.name, w.gap(since).Seconds(), missed, len(doubles), w.note)
	_, _ = fmt.Fprintln(os.Stdout, strings.TrimSpace(line))
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
		if !m.up {
			continue // left dead by the last scenario
		}
		st, err := m.status(ctx)
		errs = append(errs, err)
		for _, a := range st.Alarms {
			errs = append(errs, fmt.Errorf("machine %d: alarm %s: %s", m.index, a.Name, a.Text))
		}
	}
	return errors.Join(errs...)
}
