package ledgersim

import (
	"context"
	"errors"
	"io"
	"sync"

	"highwater/ledger"
)

var errGone = errors.New("the connection to the emulated device is gone")

// Conn is a connection to a device. A device has at most one connection: a new connection displaces the old. An
// answer goes to the present connection, as on a cable, even when an earlier connection asked.
type Conn struct {
	d *Device

	mu      sync.Mutex
	answers [][]byte
	ready   chan struct{} // has room for one token: the state has changed
	done    chan struct{} // closed at the end
	ended   bool
	fetched *sync.Cond // answers have become fewer, or ended
}

// maxQueue bounds the answers that the host does not fetch.
const maxQueue = 16

var _ ledger.Transport = (*Conn)(nil)

// Connect plugs in a host.
func (d *Device) Connect() *Conn {
	c := &Conn{d: d, ready: make(chan struct{}, 1), done: make(chan struct{})}
	c.fetched = sync.NewCond(&c.mu)
	d.change(func() {
		d.cut()
		d.conn = c
	})
	return c
}

// Dial connects a driver in process. Dial fits ledger.Config.
func (d *Device) Dial(context.Context) (ledger.Transport, error) { return d.Connect(), nil }

func (c *Conn) put(answer []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && len(c.answers) < maxQueue {
		c.answers = append(c.answers, answer)
	}
	c.signal()
}

func (c *Conn) signal() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended = true
		close(c.done)
		c.fetched.Broadcast()
	}
}

// Send hands over a command and does not wait. A dropped command is no error: the answer never comes.
func (c *Conn) Send(apdu []byte) error { return c.d.accept(c, apdu) }

// Receive waits for the next answer. Answers given before the end are still delivered; after the last answer the
// error is io.EOF.
func (c *Conn) Receive(ctx context.Context) ([]byte, error) {
	out, err := c.peek(ctx)
	if err == nil {
		c.pop()
	}
	return out, err
}

// owed tells whether the device has an answer still to come.
func (c *Conn) owed() bool {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return c.d.pending != 0
}

// waitFetched waits until the host has fetched all answers, or the connection has ended.
func (c *Conn) waitFetched() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.answers) > 0 && !c.ended {
		c.fetched.Wait()
	}
}

func (c *Conn) pop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = c.answers[1:]
	c.fetched.Broadcast()
}

// peek waits for the next answer and leaves the answer in the queue. Only one goroutine receives.
func (c *Conn) peek(ctx context.Context) ([]byte, error) {
	for {
		c.mu.Lock()
		if len(c.answers) > 0 {
			out := c.answers[0]
			c.mu.Unlock()
			return out, nil
		}
		ended := c.ended
		c.mu.Unlock()
		if ended {
			return nil, io.EOF
		}
		select {
		case <-c.ready:
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Exchange sends a command and takes the next answer, which may belong to an earlier command.
func (c *Conn) Exchange(ctx context.Context, apdu []byte) ([]byte, error) {
	if err := c.Send(apdu); err != nil {
		return nil, err
	}
	return c.Receive(ctx)
}

// Authorized shows a driver the keys of the emulator's extension.
func (c *Conn) Authorized() []ledger.Authorized { return c.d.Authorized() }

// Where is the transport's address.
func (c *Conn) Where() string { return "sim" }

// Close unplugs the host.
func (c *Conn) Close() error {
	c.d.change(func() {
		if c.d.conn == c {
			c.d.conn = nil
		}
	})
	c.end()
	return nil
}
