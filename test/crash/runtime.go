package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/test/harness"
)

// harmed counts the runtime files that were lost or changed after a kill. Some of these kills must turn a horizon into
// a floor.
const (
	harmed    = "runtime file harmed"
	harmless  = 5
	harmEvery = 3
)

// runtimeFiles are the files in the runtime directory, one for each state directory that shares the runtime directory.
func runtimeFiles(dir string) ([]string, error) { return filepath.Glob(filepath.Join(dir, "marks-*")) }

// ownRuntime is this daemon's runtime file; empty without a file.
func (s *suite) ownRuntime() (string, error) {
	files, err := runtimeFiles(s.store.Runtime)
	for _, path := range files {
		if path != s.neighbours {
			return path, err
		}
	}
	return "", err
}

// harm damages the runtime file of a killed daemon, now and then. The program must not believe a damaged file.
func (s *suite) harm(n *neighbour) error {
	if s.store.Ahead == 0 || chance(harmEvery) > 0 {
		return nil
	}
	ways := []func(string) error{os.Remove, tear, copied, s.putBack, n.putInPlace}
	return s.loseRuntime(ways[chance(len(ways))])
}

// loseRuntime damages an existing runtime file by how.
func (s *suite) loseRuntime(how func(path string) error) error {
	path, err := s.ownRuntime()
	if err != nil || path == "" {
		return err
	}
	if err = how(path); err == nil {
		s.lost = true
		s.count(harmed)
	}
	return err
}

// tear overwrites a part of each record.
func tear(path string) error {
	const record, inside = 256, 120
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	info, err := f.Stat()
	for at := int64(0); err == nil && at < info.Size(); at += record {
		_, err = f.WriteAt([]byte("torn"), at+inside)
	}
	return errors.Join(err, f.Close())
}

// copied puts a copy in the file's place, as a clone of the directories does.
func copied(path string) error {
	all, err := os.ReadFile(path) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	return replace(path, all)
}

func replace(path string, all []byte) error {
	if err := os.WriteFile(path+".new", all, 0o600); err != nil { //nolint:gosec // our own directory
		return err
	}
	return os.Rename(path+".new", path)
}

// putBack writes an older state into the file. The first call takes the older state, and removes the file.
func (s *suite) putBack(path string) error {
	all, err := os.ReadFile(path) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	older := s.stale
	s.stale = all
	if older == nil {
		return os.Remove(path)
	}
	return os.WriteFile(path, older, 0o600)
}

// checkEnd: a killed process costs nothing, and a lost runtime file no more than the levels ahead.
func (s *suite) checkEnd(last *operate.LastRun) error {
	if s.store.Unknown {
		return nil
	}
	if last == nil {
		return errors.New("the status does not say how the last run ended")
	}
	floors := map[tezos.PublicKeyHash]int32{}
	for _, f := range last.Floors {
		floors[f.PKH] = f.Level
	}
	if len(floors) > 0 && !s.lost {
		s.fault("a killed process cost the levels up to the horizon: %s", last.Line())
	}
	for _, b := range s.books {
		b.horizon = floors[b.Hash()]
		if most := b.top() + int32(s.store.Ahead); b.horizon > most { //nolint:gosec // small
			s.fault("%s: the horizon is at %d, and %d is the most", b.Hash(), b.horizon, most)
		}
	}
	return nil
}

// neighbour is another instance in the same runtime directory. The neighbour was killed before the suite, and comes
// back at the end.
type neighbour struct {
	*suite
	file string
}

// newNeighbour kills an instance once under load, and leaves its runtime file behind.
func newNeighbour(ctx context.Context, s *suite, binary string) (*neighbour, error) {
	own, err := newSuite(ctx, binary, 0, harness.Store{Ahead: s.store.Ahead, Runtime: s.store.Runtime}, harness.Three)
	if err != nil {
		return nil, err
	}
	n := &neighbour{suite: own}
	if err = n.cycle(ctx); err != nil {
		return nil, err
	}
	if n.file, err = n.ownRuntime(); err != nil {
		return nil, err
	}
	if (n.file == "") != (s.store.Ahead == 0) {
		return nil, fmt.Errorf("the runtime file of an instance with %d levels ahead is %q", s.store.Ahead, n.file)
	}
	s.neighbours = n.file
	return n, nil
}

// putInPlace puts the neighbour's file in the place of this daemon's file.
func (n *neighbour) putInPlace(path string) error {
	all, err := os.ReadFile(n.file)
	if err != nil {
		return err
	}
	return replace(path, all)
}

// comesBack: after all faults of the other files, the neighbour's file is intact, and the neighbour signs the very next
// level.
func (n *neighbour) comesBack(ctx context.Context) error {
	return errors.Join(n.awake(ctx), n.daemon.Stop())
}

// upgrade kills an earlier build under load, lets the program go on with the state, kills the program too, and checks
// that the earlier build then refuses the file.
func upgrade(ctx context.Context, o options) error {
	before := harness.Store{Unknown: true}
	s, err := newSuite(ctx, o.before, o.slow, before, harness.Three)
	if err != nil {
		return err
	}
	if err = s.cycle(ctx); err != nil {
		return fmt.Errorf("the earlier build: %w", err)
	}
	s.store = harness.Store{Ahead: 1, Runtime: s.store.Runtime}
	if err = s.daemon.Use(o.binary, s.store); err != nil {
		return err
	}
	if err = s.cycles(ctx, o.kills, nil); err != nil {
		return fmt.Errorf("%w\nthe daemon's log: %s", err, s.daemon.Log)
	}
	if err = s.daemon.Use(o.before, before); err != nil {
		return err
	}
	_, refused := s.daemon.Command(ctx, "hwm", "list")
	if refused == nil {
		s.fault("the earlier build opens the file of the later program")
	}
	_, err = fmt.Fprintf(os.Stdout, "%sthe earlier build says: %v\n", s.table(0), refused)
	return errors.Join(err, s.verdict(), s.remove())
}
