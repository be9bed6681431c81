package tezsignsim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"google.golang.org/protobuf/proto"

	"highwater/tezsign/frame"
)

// broker is the gadget's side of one interface. A broker finds frames in the bytes read, and answers each request in
// a goroutine of its own, as the gadget does.
type broker struct {
	iface int
	in    *instance
	g     *Gadget

	workers sync.WaitGroup

	mu     sync.Mutex
	out    io.Writer
	active map[frame.ID]int // requests being processed, with the claim of their arrival
	claim  func() int       // the number of the last transfer's claim
	stash  []byte
	resend int // number of Retry frames sent: as many requests may come a second time
}

// readLen is the length of the gadget's reads.
const readLen = 256 << 10

func newBroker(iface int, in *instance, g *Gadget) *broker {
	return &broker{
		iface: iface, in: in, g: g, active: map[frame.ID]int{},
		claim: func() int { return -1 },
	}
}

// errUnbound is a port's read error after the controller was taken from the gadget, returned once the controller is
// back.
var errUnbound = errors.New("the endpoint was disabled and enabled again")

// serve reads transfers until the power goes.
func (b *broker) serve(p *port) {
	defer b.workers.Wait()
	b.claim = p.lastClaim
	for {
		err := b.run(p, p)
		if !errors.Is(err, errUnbound) {
			return
		}
		b.retry()
	}
}

// retry asks the host for every request without an Accept.
func (b *broker) retry() {
	b.mu.Lock()
	b.resend++
	b.mu.Unlock()
	b.write(frame.Frame{Type: frame.Retry})
}

// run reads transfers from r and writes frames to w, one Write each, until reading fails or the channel wedges.
func (b *broker) run(r io.Reader, w io.Writer) error {
	b.mu.Lock()
	b.out = w
	b.mu.Unlock()
	buf := make([]byte, readLen)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return err
		}
		if !b.in.gate.pass() {
			return errPower
		}
		b.stash = append(b.stash, buf[:n]...)
		if b.wedges() {
			b.g.watch.violation("torn header on interface %d: %x", b.iface, b.stash)
			b.g.opts.Log.Warn("simulated gadget wedged", "interface", b.iface)
			return errWedged
		}
	}
}

var errWedged = errors.New("the channel is wedged")

// wedges takes the frames out of the stash. The result is true when the beginning of a header is left: on a torn
// header the gadget's program loops for ever.
func (b *broker) wedges() bool {
	for {
		at := bytes.IndexByte(b.stash, 0x56)
		if at < 0 {
			b.stash = nil
			return false
		}
		b.stash = b.stash[at:]
		if len(b.stash) < frame.HeaderLen {
			return true
		}
		size := int(binary.LittleEndian.Uint32(b.stash[18:]))
		var parity byte
		for _, c := range b.stash[:22] {
			parity ^= c
		}
		switch {
		case parity != b.stash[22]:
			b.stash = b.stash[1:]
			continue
		case size > frame.MaxDevicePayload:
			b.stash = b.stash[frame.HeaderLen:]
			continue
		case len(b.stash) < frame.HeaderLen+size:
			return false // waits for the rest, in however long a time
		}
		f := frame.Frame{
			Type: frame.Type(b.stash[1]), ID: frame.ID(b.stash[2:18]),
			Payload: bytes.Clone(b.stash[frame.HeaderLen : frame.HeaderLen+size]),
		}
		b.stash = b.stash[frame.HeaderLen+size:]
		if f.Type == frame.Request {
			b.request(f)
		}
	}
}

// request accepts a request and starts its handler. An id in process is ignored; an id processed before is processed
// again.
func (b *broker) request(f frame.Frame) {
	b.g.watch.count(b.iface)
	b.mu.Lock()
	claim := b.claim()
	if _, ok := b.active[f.ID]; ok {
		b.mu.Unlock()
		return
	}
	for _, other := range b.active {
		if other == claim && claim >= 0 {
			b.g.watch.violation("a request on interface %d while another was in flight", b.iface)
		}
	}
	if again := b.g.watch.id(f.ID, b.resend > 0); again {
		b.resend--
	}
	if b.g.take(&b.g.faults.loseRequests) {
		b.mu.Unlock()
		b.retry()
		return
	}
	b.active[f.ID] = claim
	b.mu.Unlock()
	b.write(frame.Frame{Type: frame.Accept, ID: f.ID})
	b.workers.Go(func() { b.process(f) })
}

func (b *broker) process(f frame.Frame) {
	resp := b.in.store.handle(b.iface, f.Payload, &b.g.faults)
	if s := resp.GetSign(); s != nil && b.g.take(&b.g.faults.spoilSigns) {
		s.Signature = b.in.store.all()[0].soft.Sign([]byte("other bytes")).Bytes()
	}
	answer, err := proto.MarshalOptions{Deterministic: true}.Marshal(resp)
	if err != nil {
		b.g.watch.violation("answer cannot be encoded: %v", err)
		return
	}
	alive := b.in.gate.pass()
	b.mu.Lock()
	delete(b.active, f.ID)
	b.mu.Unlock()
	if alive && !b.g.take(&b.g.faults.dropAnswers) {
		b.write(frame.Frame{Type: frame.Response, ID: f.ID, Payload: answer})
	}
}

// write writes a whole frame. A frame that cannot be written is dropped, as the gadget does when the link is down.
func (b *broker) write(f frame.Frame) {
	wire, err := frame.Encode(f)
	if err != nil {
		b.g.watch.violation("frame cannot be encoded: %v", err)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.out.Write(wire); err != nil {
		b.g.opts.Log.Debug("simulated gadget drops a frame", "type", f.Type.String(), "error", err)
	}
}
