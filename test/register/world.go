package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/test/failover/network"
	"highwater/test/harness"
)

// machines is the number of machines. Each machine has a Highwater, a member of the register, a baker, and links to all
// members.
const machines = 3

const configuration = `state_dir = %q
chain = %q
node = %q
[server]
listen = %q
known_keys = true
[admin]
socket = %q
[monitor]
listen = %q
[register]
endpoints = [%s]
ca = %q
cert = %q
key = %q
ahead = %d
priority = %d
`

// machine is one of the three machines.
type machine struct {
	*harness.Daemon
	index  int
	links  []*proxy // to the members
	up     bool
	frozen bool
}

// world is three machines, a register, a chain and a judge.
type world struct {
	dir      string
	binary   string
	ahead    int
	interval time.Duration
	machines []*machine
	direct   bool          // machines speak to the members without proxies
	net      *network.Mesh // nil: all in the network of this process, with proxies
	ports    int           // given by address
	members  []*server
	clients  []string // the addresses of the members
	etcd     string   // the program
	pki      *authority
	node     string // its address
	chain    *nodesim.Node
	judge    *baker.Judge
	keys     []*tezos.PublicKey
	probe    *tezos.PublicKey
	note     string // of the scenario under way, for its line

	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	errs    []error
	level   int32
	changed chan struct{}       // closed and replaced at each level
	done    map[place]time.Time // released signatures of the bakery
	probed  []time.Time         // released signatures of the probe
}

// place is where a key signs.
type place struct {
	key   tezos.PublicKeyHash
	kind  tezos.Kind
	level int32
}

func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{
		direct: o.direct, dir: o.dir, binary: o.binary, etcd: o.etcd, ahead: o.ahead, interval: o.interval,
		judge: baker.NewJudge(), changed: make(chan struct{}),
		done:  map[place]time.Time{},
		level: harness.StartLevel + 1,
	}
	var running context.Context
	running, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if network.Isolated() {
		if w.net, err = network.NewMesh(ctx, o.name, machines+1); err != nil {
			return w, err
		}
	}
	if w.pki, err = newAuthority(filepath.Join(w.dir, "certificates")); err != nil {
		return w, err
	}
	for i := range machines {
		w.pki.further = append(w.pki.further, net.ParseIP(network.MeshAddress(i)))
	}
	for _, name := range []string{"server", "root"} {
		if err = w.pki.issue(name, time.Now().AddDate(1, 0, 0)); err != nil {
			return w, err
		}
	}
	endpoints, err := w.startRegister(ctx)
	if err != nil {
		return w, err
	}
	if w.node, err = w.address(ctx); err != nil {
		return w, err
	}
	for i := range machines {
		if err = w.addMachine(ctx, running, i, endpoints); err != nil {
			return w, err
		}
	}
	if err = w.begin(ctx, running); err != nil {
		return w, err
	}
	w.wg.Go(func() { w.run(running) })
	for _, m := range w.machines {
		w.wg.Go(func() { w.bake(running, m) })
	}
	err = w.awaitOwner(ctx, 0)
	return w, err
}

// addMachine makes a machine ready, and starts nothing.
func (w *world) addMachine(ctx, running context.Context, i int, members []string) error {
	m := &machine{index: i}
	for _, member := range members {
		if w.direct {
			break
		}
		p, err := newProxy(ctx, w.site(i), member)
		if err != nil {
			return err
		}
		w.wg.Go(func() { p.run(running) })
		m.links = append(m.links, p)
	}
	dir := filepath.Join(w.dir, fmt.Sprintf("machine-%d", i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := w.make(ctx, m, dir); err != nil {
		return err
	}
	w.machines = append(w.machines, m)
	_, err := m.Command(ctx, "init", "--yes")
	return err
}

// make writes the configuration of a machine into a directory.
func (w *world) make(ctx context.Context, m *machine, dir string) error {
	var endpoints []string
	for i, member := range w.clients {
		if !w.direct {
			member = m.links[i].listener.Addr().String()
		}
		endpoints = append(endpoints, fmt.Sprintf("%q", "https://"+member))
	}
	octez, err := w.address(ctx)
	if err != nil {
		return err
	}
	monitor, err := w.address(ctx)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(configuration, filepath.Join(dir, "state"), harness.Chain, "http://"+w.node, octez,
		harness.Socket(dir), monitor, strings.Join(endpoints, ", "), w.pki.file(authorityName), w.pki.file(bakery(m.index)),
		w.pki.private(bakery(m.index)), w.ahead, m.index)
	m.Daemon, err = harness.Make(harness.Options{
		Host:   w.site(m.index).host(),
		Binary: w.binary, Dir: dir, Octez: octez, Monitor: monitor, Keys: harness.Three.Keys,
		Config: text + harness.Three.Text,
	})
	return err
}

// begin makes the record at the first machine, and starts all machines.
func (w *world) begin(ctx, running context.Context) error {
	first := w.machines[0]
	for _, args := range [][]string{
		{"activate", "--yes", "--level", fmt.Sprint(harness.StartLevel)}, {"register", "init", "--yes"},
	} {
		if err := first.retry(ctx, args...); err != nil {
			return err
		}
	}
	w.chain = nodesim.New(nodesim.Config{Chain: harness.Chain, Level: w.level})
	for i, m := range w.machines {
		if i == 0 || w.net != nil { // each network has a node
			l, err := w.site(i).listen(ctx, w.node)
			if err != nil {
				return err
			}
			w.wg.Go(func() { w.serve(running, l) })
		}
		if err := m.start(ctx); err != nil {
			return err
		}
	}
	keys, err := first.Keys(ctx)
	for _, k := range keys {
		if k.Curve() == tezos.Secp256k1 {
			w.probe = k
		} else {
			w.keys = append(w.keys, k)
		}
	}
	return err
}

// retry runs a command until the members have found each other.
func (m *machine) retry(ctx context.Context, args ...string) (err error) {
	for range 10 {
		if _, err = m.Command(ctx, args...); err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (m *machine) start(ctx context.Context) error {
	if err := m.Start(0); err != nil {
		return err
	}
	m.up = true
	_, err := m.AwaitUp(ctx)
	return err
}

func (w *world) serve(ctx context.Context, l net.Listener) {
	srv := &http.Server{Handler: w.chain, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { w.chain.Cut(); _ = srv.Close() })
	defer stop()
	_ = srv.Serve(l) // Serve ends with ctx
}

// run makes a block every interval.
func (w *world) run(ctx context.Context) {
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		level := w.chain.Advance().Level
		w.mu.Lock()
		w.level = level
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
}

// now is the level of the head, and a channel closed at its end.
func (w *world) now() (level int32, over <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.level, w.changed
}

// levels waits for n blocks.
func (w *world) levels(ctx context.Context, n int) error {
	for range n {
		_, over := w.now()
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// owner is the signing machine; nil: none.
func (w *world) owner(ctx context.Context) *machine {
	for _, m := range w.machines {
		if m.up && !m.frozen && m.signs(ctx) {
			return m
		}
	}
	return nil
}

func (m *machine) signs(ctx context.Context) bool {
	st, err := m.status(ctx)
	return err == nil && st.Signing && st.Register != nil && st.Register.Mine
}

func (m *machine) status(ctx context.Context) (operate.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	admin, err := m.Admin(ctx)
	if err != nil {
		return operate.Status{}, err
	}
	return admin.Status(ctx)
}

// awaitOwner waits until the machine signs; with -1, until any machine signs. The machine that comes first by its
// priority asks for the right during any scenario.
func (w *world) awaitOwner(ctx context.Context, index int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if m := w.owner(ctx); m != nil && (index < 0 || m.index == index) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("machine %d does not sign", index), w.words(context.WithoutCancel(ctx)))
		}
	}
}

// words is the state of each machine, for an error.
func (w *world) words(ctx context.Context) error {
	var errs []error
	for _, m := range w.machines {
		st, err := m.status(ctx)
		errs = append(errs, fmt.Errorf("machine %d: %v %+v %v %w", m.index, st.Role, st.Register, st.NotReady, err))
	}
	return errors.Join(errs...)
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, err)
}

// end stops everything, and gives all errors.
func (w *world) end() error {
	w.stop()
	var errs []error
	for _, m := range w.machines {
		if m.up {
			errs = append(errs, m.EndAnyhow())
		}
	}
	for _, p := range w.members {
		errs = append(errs, p.EndAnyhow())
	}
	w.wg.Wait()
	if w.net != nil {
		errs = append(errs, w.net.Close(context.Background()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(append(errs, w.errs...)...)
}
