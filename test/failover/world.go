package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"highwater/test/failover/chain"
	"highwater/test/failover/judge"
	"highwater/test/failover/network"
	"highwater/test/failover/proxy"

	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/test/harness"
)

// world belongs to one scenario: a pair, the network between, the chain, the bakers, and the judge.
type world struct {
	scenario
	dir    string
	net    *network.Network
	chain  *chain.Chain
	tally  *judge.Tally
	a, b   *side
	keys   []*tezos.PublicKey // the bakery's
	probe  *tezos.PublicKey
	rand   *rand.Rand
	result result

	stop context.CancelFunc // ends chain, bakers and proxies
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (w *world) sides() []*side { return []*side{w.a, w.b} }

// other is the peer of s.
func (w *world) other(s *side) *side { return w.sides()[1-s.index] }

// newWorld builds and starts everything. Unless the scenario wants otherwise, both instances are up and paired, and a
// is active.
func newWorld(ctx context.Context, sc scenario, binary, dir, prefix string, seed uint64) (*world, error) {
	w := &world{scenario: sc, dir: dir, tally: judge.New(), rand: rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // no secret
	w.result = result{Name: sc.name, BlockMS: sc.interval.Milliseconds()}
	var running context.Context
	running, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if w.net, err = network.New(ctx, prefix); err != nil {
		return w, err
	}
	for i, s := range []**side{&w.a, &w.b} {
		text, keys := sc.devices(i)
		if *s, err = newSide(binary, dir, i, w.net, text, keys); err != nil {
			return w, err
		}
	}
	if err = w.start(ctx); err != nil {
		return w, err
	}
	w.chain = chain.New(sc.interval, w.keys)
	if err = w.connect(running); err != nil {
		return w, err
	}
	if !sc.alone {
		if err = w.pair(ctx); err != nil {
			return w, err
		}
	}
	w.wg.Go(func() { w.chain.Run(running) })
	for _, s := range w.sides() {
		w.bake(running, s)
	}
	err = w.activate(ctx)
	return w, err
}

// start prepares and starts both programs, and reads the keys.
func (w *world) start(ctx context.Context) error {
	if w.loose {
		var err error
		if w.a.loose, err = newLoose(ctx, w.a.ns); err != nil {
			return err
		}
	}
	for _, s := range w.sides() {
		if err := errors.Join(w.format(ctx, s), s.initialise(ctx)); err != nil {
			return err
		}
		if err := s.up(ctx); err != nil {
			return err
		}
	}
	keys, err := w.a.Keys(ctx)
	for _, k := range keys {
		if k.Curve() == tezos.Secp256k1 {
			w.probe = k
		} else {
			w.keys = append(w.keys, k)
		}
	}
	return err
}

// connect puts proxies between the machines, and nodes beside them.
func (w *world) connect(ctx context.Context) error {
	for _, s := range w.sides() {
		theirs := network.Address(network.LinkPeer, w.other(s).machine(), network.EndMachine) + ":" + network.PeerPort
		l, err := w.net.Between.Listen(ctx, s.peerAt())
		if err != nil {
			return err
		}
		s.proxy = proxy.New(l, w.dialer(theirs))
		w.wg.Go(func() { s.proxy.Run(ctx) })
		node := network.Address(network.LinkNode, s.machine(), network.EndBetween) + ":" + network.NodePort
		l, err = w.net.Between.Listen(ctx, node)
		if err != nil {
			return err
		}
		w.wg.Go(func() { w.chain.Serve(ctx, l) })
	}
	return nil
}

// pair names each machine to its peer.
func (w *world) pair(ctx context.Context) error {
	for _, s := range w.sides() {
		at := s.peerAt()
		if _, err := s.Command(ctx, "peer", "add", at, w.other(s).key); err != nil {
			return err
		}
	}
	return nil
}

// activate makes a active, and waits until a signs and b follows.
func (w *world) activate(ctx context.Context) error {
	if w.alone || w.idle {
		return nil
	}
	if _, err := w.a.Command(ctx, "activate", "--yes", "--level", strconv.Itoa(harness.StartLevel)); err != nil {
		return err
	}
	return errors.Join(w.signs(ctx, w.a), w.follows(ctx, w.b))
}

// bake lets a machine's bakers ask, for as long as ctx lives.
func (w *world) bake(ctx context.Context, s *side) {
	b := &bakers{
		side: s, chain: w.chain, tally: w.tally, keys: w.keys, probe: w.probe, seed: w.rand.Uint64(),
		blind: w.blind,
	}
	w.wg.Go(func() { w.fault(b.run(ctx)) })
	every := w.measure
	if every == 0 {
		every = 25 * time.Millisecond
	}
	w.wg.Go(func() { w.fault(b.measure(ctx, every)) })
}

// fault keeps an error of a goroutine beside the scenario.
func (w *world) fault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errs = append(w.errs, err)
	}
}

// close ends everything, and reports the errors beside the scenario.
func (w *world) close(ctx context.Context) error {
	w.stop()
	var err error
	for _, s := range w.sides() {
		if s != nil {
			err = errors.Join(err, s.down())
		}
	}
	w.wg.Wait()
	for _, s := range w.sides() {
		if s != nil && s.disk != nil {
			err = errors.Join(err, s.disk.close())
		}
		if s != nil && s.loose != nil {
			s.loose.unplug()
		}
	}
	if w.net != nil {
		err = errors.Join(err, w.net.Close(ctx))
	}
	return errors.Join(append(w.errs, err)...)
}

// patience bounds the wait for a condition, plus some blocks on slow chains.
const patience = 45 * time.Second

func (w *world) patience() time.Duration { return patience + 15*w.interval }

// await looks until f says yes.
func (w *world) await(ctx context.Context, what string, f func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, w.patience())
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := f()
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("waited %s in vain until %s", w.patience(), what), err)
		}
	}
}

// says waits until the status of a side fulfils f.
func (w *world) says(ctx context.Context, s *side, what string, f func(operate.Status) bool) error {
	var last string
	err := w.await(ctx, fmt.Sprintf("%s %s", s, what), func() (bool, error) {
		st, err := s.status(ctx)
		if err != nil {
			return false, err
		}
		last = fmt.Sprintf("%s, epoch %d, signing: %t, %v", st.Role.Role, st.Role.Epoch, st.Signing, st.NotReady)
		return f(st), nil
	})
	if err != nil {
		return fmt.Errorf("%w (last: %s)", err, last)
	}
	return nil
}

// follows waits until a side follows the peer's marks.
func (w *world) follows(ctx context.Context, s *side) error {
	return w.says(ctx, s, "follows its peer", func(st operate.Status) bool {
		return st.Pair != nil && st.Pair.Peer != nil && st.Pair.Peer.Reachable && st.Pair.Peer.Following
	})
}

// signs waits until a side has signed something new from now on.
func (w *world) signs(ctx context.Context, s *side) error { return w.signsSince(ctx, s, time.Now()) }

func (w *world) signsSince(ctx context.Context, s *side, since time.Time) error {
	return w.await(ctx, fmt.Sprintf("%s signs", s),
		func() (bool, error) { return len(w.tally.By(s.index, since)) > 0, nil })
}

// levels waits for the start of n more levels.
func (w *world) levels(ctx context.Context, n int32) error {
	at, _, _ := w.chain.Now()
	return w.chain.Await(ctx, at+n)
}

// level is the head's.
func (w *world) level() int32 {
	level, _, _ := w.chain.Now()
	return level
}

func (w *world) stick(name string) string { return filepath.Join(w.dir, name) }

// copyFile copies a file from one machine to the peer.
func copyFile(from, to string) error {
	b, err := os.ReadFile(from) //nolint:gosec // ours
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600) //nolint:gosec // ours
}

// dialer connects from between the machines.
func (w *world) dialer(addr string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return w.net.Between.Dial(ctx, "tcp", addr) }
}

// format gives a machine its own disk, if the scenario wants a disk and the kernel allows the mount.
func (w *world) format(ctx context.Context, s *side) error {
	if !w.disks || !network.Privileged() {
		return nil
	}
	var err error
	s.disk, err = newDisk(ctx, s.Dir)
	if err != nil {
		return err
	}
	state := filepath.Join(s.disk.at, "state")
	return errors.Join(os.Mkdir(state, 0o700), os.Symlink(state, filepath.Join(s.Dir, "state")))
}
