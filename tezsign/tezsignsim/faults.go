package tezsignsim

import (
	"bytes"
	"errors"
	"sync"
	"time"

	pb "highwater/tezsign/tezsignpb"
)

// faults are the pending faults. Gadget.mu guards the counters.
type faults struct {
	dropAnswers  int
	loseRequests int
	notReady     bool
	spoilSigns   int

	mu          sync.Mutex
	slow        *time.Duration
	version     string
	versionDate string
}

// take counts a counter down.
func (g *Gadget) take(counter *int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if *counter == 0 {
		return false
	}
	*counter--
	return true
}

func (f *faults) latency(o *Options) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slow != nil {
		return *f.slow
	}
	return o.Latency
}

func (f *faults) versionAnswer(o *Options) *pb.Version {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version != "" {
		return &pb.Version{Version: f.version, BuildDate: f.versionDate}
	}
	return &pb.Version{Version: o.Version, BuildDate: o.BuildDate}
}

// SetLatency changes the duration of a signature.
func (g *Gadget) SetLatency(d time.Duration) {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	g.faults.slow = &d
}

// SetVersion changes the answer to version: long texts give a frame of a multiple of the packet size.
func (g *Gadget) SetVersion(version, buildDate string) {
	g.faults.mu.Lock()
	defer g.faults.mu.Unlock()
	g.faults.version, g.faults.versionDate = version, buildDate
}

// DropAnswers loses the next n answers, after the gadget has done the requests.
func (g *Gadget) DropAnswers(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.dropAnswers = n
}

// SpoilSignatures makes the next n signatures those of other bytes.
func (g *Gadget) SpoilSignatures(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.spoilSigns = n
}

// LoseRequests makes the gadget drop the next n requests with a read error, and ask for the requests again.
func (g *Gadget) LoseRequests(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.loseRequests = n
}

// SetReady changes the readiness byte: false is a gadget with a program still starting.
func (g *Gadget) SetReady(v bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults.notReady = !v
}

// CutWrites cuts the host's next n transfers of more than a packet on an interface, after the first packet.
func (g *Gadget) CutWrites(iface, n int) {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = n
}

// Inject puts any bytes on the wire, as if a host had sent the bytes in one transfer.
func (g *Gadget) Inject(iface int, b []byte) {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, transfer{bytes.Clone(b), p.claims})
	p.change()
}

// Wedge sends a torn header: the channel is deaf until a power cycle. Wedge counts as a violation.
func (g *Gadget) Wedge(iface int) { g.Inject(iface, []byte{0x56}) }

// Unplug takes power and cable away. The keys are locked when Unplug returns.
func (g *Gadget) Unplug() { g.powerOff() }

// Replug powers the gadget on.
func (g *Gadget) Replug() error { return g.powerOn() }

// PowerCycle is Unplug and Replug.
func (g *Gadget) PowerCycle() error {
	g.powerOff()
	return g.powerOn()
}

// Unbind takes the USB controller from the gadget. The gadget stays powered: keys stay unlocked, and the gadget
// finishes requests under way.
func (g *Gadget) Unbind() {
	for _, p := range g.ports {
		p.unbind()
	}
}

// Bind gives the controller back.
func (g *Gadget) Bind() {
	for _, p := range g.ports {
		p.bind()
	}
}

// Stop stops the gadget's program, as SIGSTOP does; the bus goes on.
func (g *Gadget) Stop() {
	if in := g.running(); in != nil {
		in.gate.stop()
	}
}

// Continue lets the program go on.
func (g *Gadget) Continue() {
	if in := g.running(); in != nil {
		in.gate.run()
	}
}

func (g *Gadget) running() *instance {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.boot
}

// LoseState removes a key's state file: after the next power cycle the key's watermarks are zero.
func (g *Gadget) LoseState(alias string) error { return g.disk.remove(stateName(alias)) }

// CorruptState breaks one or both slots of a key's state file.
func (g *Gadget) CorruptState(alias string, both bool) error {
	b, err := g.disk.read(stateName(alias))
	if err != nil {
		return err
	}
	if len(b) != 2*slotLen {
		return errors.New("the state file is broken already")
	}
	b[slotLen-1] ^= 0xff
	if both {
		b[2*slotLen-1] ^= 0xff
	}
	return g.disk.write(stateName(alias), b)
}

// Forget restarts the gadget's program while the link stays: all keys are locked, and unknown to the signing path.
func (g *Gadget) Forget() {
	in := g.running()
	if in == nil {
		return
	}
	for _, k := range in.store.all() {
		k.mu.Lock()
		k.known, k.unlocked, k.corrupted, k.marks = false, false, false, marks{}
		k.mu.Unlock()
	}
}
