// Package tezsignsim is an emulated TezSign gadget: two channels with the packet rules of USB, a keystore, the
// gadget's own watermarks, locks, throttle, error codes and texts, and each of the known faults, on demand. The
// gadget also watches its host: a forbidden act of the host (a torn header, unlocking an unlocked key, a second
// request before the first was answered, …) is recorded as a violation, for tests to look at.
//
// The keys are software keys made from a seed. Without AllowMainnet the gadget refuses to sign for mainnet.
package tezsignsim

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"highwater/internal/tezos"
	"highwater/tezsign"
)

// Options describe a gadget. The zero value is a gadget fresh from the box.
type Options struct {
	// Serial is the serial on the bus; empty: the default serial, common to gadgets without a serial file.
	Serial    string
	Version   string // empty: "sim"
	BuildDate string // empty: "unknown"
	// Seed and the creation index (0, 1, …; never reused) decide the keys. Two gadgets with one seed and keys made in
	// the same order hold the same keys. As on the gadget, the alias does not matter.
	Seed string
	// Keys are made and unlocked before New returns, under Passphrase (empty: DefaultPassphrase).
	Keys       []string
	Passphrase string
	// Latency is the shortest duration of a signature.
	Latency time.Duration
	// DeriveCost is the time for deriving a key from the passphrase: unlock once per key, new twice, delete once.
	DeriveCost time.Duration
	// MaxPacket is 512 (high speed; also for 0) or 64 (full speed).
	MaxPacket int
	// Dir keeps the keystore in a folder; empty: in memory.
	Dir string
	// StorePath is the folder in error texts; empty: /data/keystore.
	StorePath string
	// AllowMainnet lets the gadget sign for mainnet, for replays of recordings.
	AllowMainnet bool
	// Forgetful keeps no list of signatures, and only the last requests' ids: for a process with a long life.
	// Signatures is empty for a forgetful gadget, and a double signature is no violation.
	Forgetful bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log *slog.Logger // nil: none
	// Worked is called with the gadget's working time at each signature; may be nil.
	Worked func(time.Duration)
}

// DefaultPassphrase protects the keys of Options.Keys.
const DefaultPassphrase = "simulated"

// Gadget is an emulated gadget. The methods are safe for concurrent use.
type Gadget struct {
	opts  Options
	disk  files
	ports [2]*port
	watch *watch

	mu     sync.Mutex
	boot   *instance // nil: no power
	faults faults
	closed bool
}

// New makes a gadget and powers the gadget on. Close ends its goroutines.
func New(opts Options) (*Gadget, error) {
	if !tezos.HasBLS {
		return nil, errors.New("a simulated TezSign needs BLS12-381: this program was built without cgo")
	}
	setDefaults(&opts)
	if opts.MaxPacket != 64 && opts.MaxPacket != 512 {
		return nil, errors.New("a bulk endpoint has packets of 64 or 512 bytes")
	}
	disk, err := openFiles(opts.Dir)
	if err != nil {
		return nil, err
	}
	g := &Gadget{opts: opts, disk: disk, watch: newWatch(opts.Forgetful)}
	for i := range g.ports {
		g.ports[i] = newPort(opts.MaxPacket)
	}
	if err := g.powerOn(); err != nil {
		return nil, err
	}
	if err := g.boot.store.provision(opts.Keys, opts.Passphrase); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

func setDefaults(o *Options) {
	if o.Serial == "" {
		o.Serial = tezsign.DefaultSerial
	}
	if o.Version == "" {
		o.Version = "sim"
	}
	if o.BuildDate == "" {
		o.BuildDate = "unknown"
	}
	if o.Seed == "" {
		o.Seed = "highwater"
	}
	if o.Passphrase == "" {
		o.Passphrase = DefaultPassphrase
	}
	if o.MaxPacket == 0 {
		o.MaxPacket = 512
	}
	if o.StorePath == "" {
		o.StorePath = "/data/keystore"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Worked == nil {
		o.Worked = func(time.Duration) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// instance is one run of the gadget's program, from power on to power off.
type instance struct {
	store   *store
	brokers [2]*broker
	gate    *gate
	workers sync.WaitGroup
}

func (g *Gadget) powerOn() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.boot != nil || g.closed {
		return nil
	}
	st, err := newStore(g.disk, &g.opts, g.watch)
	if err != nil {
		return err
	}
	in := &instance{store: st, gate: newGate()}
	for i := range in.brokers {
		in.brokers[i] = newBroker(i, in, g)
	}
	g.boot = in
	for i, p := range g.ports {
		p.attach()
		in.workers.Go(func() { in.brokers[i].serve(p) })
	}
	return nil
}

// powerOff ends the program at any point.
func (g *Gadget) powerOff() {
	g.mu.Lock()
	in := g.boot
	g.boot = nil
	g.mu.Unlock()
	if in == nil {
		return
	}
	in.store.die()
	in.gate.die()
	for _, p := range g.ports {
		p.powerOff()
	}
	in.workers.Wait()
}

// Close powers the gadget off for good.
func (g *Gadget) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.powerOff()
	return nil
}

// gate holds up a stopped program.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the program runs
	dead bool
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

// pass waits for the program to run; false: the power went.
func (g *gate) pass() bool {
	for {
		g.mu.Lock()
		open, dead := g.open, g.dead
		g.mu.Unlock()
		if dead {
			return false
		}
		select {
		case <-open:
			return true
		default:
		}
		<-open
	}
}

func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
	default:
	}
}

func (g *gate) run() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) die() {
	g.mu.Lock()
	g.dead = true
	g.mu.Unlock()
	g.run()
}
