// Command crash kills the real program at random moments, hundreds of times, under load. After each kill, the suite
// asks for everything that the program must refuse, and for everything that the program must sign. Two controls follow:
// a watermark file put back to an older copy between kill and restart, and a program that forgets its horizons. The
// suite must expose both; else the suite proves nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

var chain = harness.Chain

// options are the options of the command line.
type options struct {
	binary    string
	forgetful string // the program as built by test/harness/forgetful.sh
	before    string // an earlier build, for the upgrade of its state; empty: none
	kills     int    // in all, over the numbers of levels ahead
	control   int    // of each control
	slow      int    // percent of starts with a slow disk
	aheads    []int
}

func main() {
	o := options{aheads: []int{1, 2, 0}}
	flag.StringVar(&o.binary, "binary", "bin/highwater", "the program")
	flag.StringVar(&o.forgetful, "forgetful", "bin/highwater-forgetful",
		"the program as built by test/harness/forgetful.sh")
	flag.StringVar(&o.before, "before", "",
		"an earlier `build` without levels ahead: killed under load first; the program goes on with the state")
	flag.IntVar(&o.kills, "kills", 150, "number of kills")
	flag.IntVar(&o.control, "control", 3, "how often to kill each control")
	flag.IntVar(&o.slow, "slow", 50, "percent of starts with a slow disk (needs strace)")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	for _, path := range []*string{&o.binary, &o.forgetful, &o.before} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if o.before != "" {
		return upgrade(ctx, o)
	}
	for i, ahead := range o.aheads {
		kills := o.kills / len(o.aheads)
		if i < o.kills%len(o.aheads) {
			kills++
		}
		if err = kill(ctx, o, ahead, kills); err != nil {
			return fmt.Errorf("ahead = %d: %w", ahead, err)
		}
	}
	return errors.Join(oldCopy(ctx, o), forgets(ctx, o))
}

// kill kills the program the given number of times, with the given levels ahead.
func kill(ctx context.Context, o options, ahead, kills int) error {
	start := time.Now()
	s, err := newSuite(ctx, o.binary, o.slow, harness.Store{Ahead: ahead}, harness.Bakery)
	if err != nil {
		return err
	}
	n, err := newNeighbour(ctx, s, o.binary)
	if err != nil {
		return err
	}
	err = s.cycles(ctx, kills, func() error { return s.harm(n) })
	err = errors.Join(err, n.comesBack(ctx))
	_, printErr := os.Stdout.WriteString(s.table(time.Since(start)))
	if err = errors.Join(err, printErr, s.verdict(), n.verdict()); err != nil {
		return fmt.Errorf("%w\nthe daemon's log: %s", err, s.daemon.Log)
	}
	return errors.Join(s.remove(), n.remove())
}

// suite is the daemon with the memory of its clients.
type suite struct {
	daemon *harness.Daemon
	judge  *baker.Judge
	slow   int // percent of starts
	store  harness.Store
	lost   bool   // the last run was killed, and its runtime file is lost or changed
	stale  []byte // an older runtime file

	neighbours string // the runtime file of another instance; empty: none
	books      []*book
	role       atomic.Value // string: the last answered role; empty during a change

	mu      sync.Mutex
	counts  map[string]int
	remarks map[string]int
	faults  []string
}

// newSuite makes a daemon in new directories. An existing runtime directory is used as given.
func newSuite(ctx context.Context, binary string, slow int, store harness.Store, devices harness.Devices) (
	*suite, error,
) {
	dir, err := os.MkdirTemp("", "highwater-crash-")
	if err != nil {
		return nil, err
	}
	if store.Runtime == "" {
		if store.Runtime, err = harness.NewRuntime(); err != nil {
			return nil, err
		}
	}
	s := &suite{slow: slow, store: store, judge: baker.NewJudge(), counts: map[string]int{}, remarks: map[string]int{}}
	s.role.Store(hwm.Active.String())
	if s.daemon, err = harness.New(ctx, binary, dir, store, devices); err != nil {
		return nil, err
	}
	if err = s.daemon.Start(0); err != nil {
		return nil, err
	}
	_, err = s.daemon.AwaitUp(ctx)
	var keys []*tezos.PublicKey
	if err == nil {
		keys, err = s.daemon.Keys(ctx)
	}
	for _, key := range keys {
		s.books = append(s.books, newBook(key, harness.StartLevel))
	}
	return s, errors.Join(err, s.daemon.Stop())
}

// The longest time from the start of the load to a kill. One kill in startKillEvery comes before the daemon is up.
const (
	killWithin     = 600 * time.Millisecond
	startKillEvery = 8
)

// cycles kills the given number of times, and calls between while the daemon is dead.
func (s *suite) cycles(ctx context.Context, kills int, between func() error) error {
	for n := range kills {
		if err := s.cycle(ctx); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		if between != nil {
			if err := between(); err != nil {
				return err
			}
		}
	}
	if err := s.awake(ctx); err != nil {
		return err
	}
	return s.daemon.Stop()
}

// cycle starts the daemon, checks the promises after the last kill, and kills the daemon under load.
func (s *suite) cycle(ctx context.Context) error {
	if chance(startKillEvery) == 0 {
		if err := s.start(); err != nil {
			return err
		}
		<-time.After(time.Duration(chance(int(killWithin))))
		s.count("killed while starting")
		if err := s.daemon.Kill(); err != nil {
			return err
		}
	}
	if err := s.awake(ctx); err != nil {
		return err
	}
	load := s.load(ctx)
	<-time.After(time.Duration(chance(int(killWithin))))
	s.count("killed under load")
	err := s.daemon.Kill()
	load.Wait()
	return err
}

// slowSync is the delay of each sync: several times the time of a device.
const slowSync = 4 * time.Millisecond

func (s *suite) start() error {
	if chance(100) >= s.slow {
		return s.daemon.Start(0)
	}
	s.count("started with a slow disk")
	return s.daemon.Start(slowSync)
}

// awake starts the daemon and probes it. A standby must refuse everything; awake then activates the instance.
func (s *suite) awake(ctx context.Context) error {
	if err := s.start(); err != nil {
		return err
	}
	st, err := s.daemon.AwaitUp(ctx)
	if err != nil {
		return err
	}
	if err = errors.Join(s.checkRole(st.Role.Role), s.checkEnd(st.LastRun)); err != nil {
		return err
	}
	if st.Role.Role != hwm.Active {
		client := s.daemon.Client(false)
		defer client.Close()
		for _, b := range s.books {
			next := b.try(tezos.Block, b.top()+1, 0, 251)
			if err = s.want(ctx, client, b, next, "restarted on standby", http.StatusForbidden); err != nil {
				return err
			}
		}
		admin, dialErr := s.daemon.Admin(ctx)
		if dialErr != nil {
			return dialErr
		}
		if err = s.activate(ctx, admin); err != nil {
			return err
		}
	}
	err = s.probe(ctx)
	s.lost = false
	return err
}

// remove takes the directories away.
func (s *suite) remove() error {
	return errors.Join(os.RemoveAll(s.daemon.Dir), os.RemoveAll(s.store.Runtime))
}

// oldCopy puts the watermark file back to its first state after each kill. The judge must find double signatures of
// every key.
func oldCopy(ctx context.Context, o options) error {
	s, err := newSuite(ctx, o.binary, 0, harness.Store{}, harness.Bakery)
	if err != nil {
		return err
	}
	yesterday, err := os.ReadFile(s.daemon.Marks())
	if err != nil {
		return err
	}
	err = s.cycles(ctx, o.control, func() error {
		s.role.Store("")
		return os.WriteFile(s.daemon.Marks(), yesterday, 0o600) //nolint:gosec // our own directory
	})
	if err != nil {
		return fmt.Errorf("control: %w\nthe daemon's log: %s", err, s.daemon.Log)
	}
	doubles := s.judge.Doubles()
	for _, b := range s.books {
		if !slices.ContainsFunc(doubles, func(d string) bool { return d[:len(b.Hash().String())] == b.Hash().String() }) {
			return fmt.Errorf("control: an old copy of the watermark file made no double signature of %s: the suite cannot "+
				"fail", b.Hash())
		}
	}
	text := fmt.Sprintf("control: an old copy of the watermark file made %d double signatures, of every key: the "+
		"suite can fail\n", len(doubles))
	_, err = os.Stdout.WriteString(text)
	return errors.Join(err, s.remove())
}

// mostForgets bounds the kills of the forgetful program: not every kill finds a mark that is not yet on the disk.
const mostForgets = 20

// forgets kills a program that forgets its horizons, and removes its runtime file each time. The judge must find double
// signatures.
func forgets(ctx context.Context, o options) error {
	s, err := newSuite(ctx, o.forgetful, 100, harness.Store{Ahead: 2}, harness.Bakery)
	if err != nil {
		return err
	}
	kills := 0
	for ; kills < o.control || kills < mostForgets && len(s.judge.Doubles()) == 0; kills++ {
		if err = errors.Join(s.cycle(ctx), s.loseRuntime(os.Remove)); err != nil {
			return fmt.Errorf("control: %w\nthe daemon's log: %s", err, s.daemon.Log)
		}
	}
	if err = errors.Join(s.awake(ctx), s.daemon.Stop()); err != nil {
		return err
	}
	doubles := s.judge.Doubles()
	if len(doubles) == 0 {
		return errors.New("control: a program that forgets its horizons made no double signature: the suite cannot fail")
	}
	text := fmt.Sprintf("control: a program that forgets its horizons made %d double signatures in %d kills: the "+
		"suite can fail\n", len(doubles), kills)
	_, err = os.Stdout.WriteString(text)
	return errors.Join(err, s.remove())
}

func (s *suite) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

func (s *suite) countStatus(what string, status int) {
	names := map[int]string{
		http.StatusOK: "signed", http.StatusConflict: "refused", http.StatusForbidden: "refused, not active",
		http.StatusInternalServerError: "failed at the device",
	}
	s.count(what + ": " + names[status])
}

// remark keeps an omission of a device.
func (s *suite) remark(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remarks[text]++
}

// maxFaults is how many broken promises are shown.
const maxFaults = 20

func (s *suite) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// verdict is nil when every promise was kept.
func (s *suite) verdict() error {
	bad := append(s.judge.Doubles(), s.faults...)
	if len(bad) == 0 && s.counts["next level: signed"] == 0 {
		bad = append(bad, "nothing was probed")
	}
	if s.counts[harmed] > harmless && s.counts["at the horizon: refused"] == 0 {
		bad = append(bad, "runtime files were taken away, and no horizon became a floor")
	}
	var errs []error
	for _, text := range bad[:min(len(bad), maxFaults)] {
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// table is the summary of the run.
func (s *suite) table(took time.Duration) string {
	w := &strings.Builder{}
	fmt.Fprintf(w, "levels ahead: %d\n", s.store.Ahead)
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(w, "%8d  %s\n", s.counts[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(s.remarks)) {
		fmt.Fprintf(w, "%8d  device: %.140s\n", s.remarks[what], what)
	}
	fmt.Fprintf(w, "%8d  DOUBLE SIGNATURES, of %d places signed at\n", len(s.judge.Doubles()), s.judge.Signed())
	fmt.Fprintf(w, "%8d  more broken promises, in %s\n", len(s.faults), took.Round(time.Second))
	return w.String()
}
