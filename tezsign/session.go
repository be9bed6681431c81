package tezsign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"highwater/internal/usb"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// session is a conversation over one claimed interface: one request in flight, each with a fresh id. A goroutine
// reads all the time and passes answers to earlier requests to stray, out of the way of the current request.
type session struct {
	ch    Channel
	log   *slog.Logger
	stray func(frame.ID, []byte) // may be nil; called by the reader

	stop   context.CancelFunc
	ended  chan struct{} // closed when the reader has ended
	reason error         // the error of the reader; valid once ended is closed

	mu      sync.Mutex
	current *exchange // nil when idle
}

// exchange is the request in flight. The channels have room for every value of the reader: the reader never waits.
type exchange struct {
	id     frame.ID
	accept chan struct{}
	retry  chan struct{}
	answer chan []byte
}

// newSession takes over the channel.
func newSession(ch Channel, log *slog.Logger, stray func(frame.ID, []byte)) *session {
	ctx, stop := context.WithCancel(context.Background())
	s := &session{ch: ch, log: log, stray: stray, stop: stop, ended: make(chan struct{})}
	go s.read(ctx)
	return s
}

// Close ends the conversation and gives the interface back.
func (s *session) Close() error {
	s.stop()
	err := s.ch.Close()
	<-s.ended
	return err
}

func (s *session) read(ctx context.Context) {
	defer close(s.ended)
	buf := make([]byte, s.ch.MaxPacket())
	d := frame.NewDecoder(frame.MaxAnswer)
	for {
		n, err := s.ch.Read(ctx, buf)
		if err != nil {
			s.reason = err
			return
		}
		d.Write(buf[:n])
		for f, ok := d.Next(); ok; f, ok = d.Next() {
			s.dispatch(f)
		}
	}
}

func (s *session) dispatch(f frame.Frame) {
	s.log.Debug("frame in", "type", f.Type.String(), "frame_id", f.ID.String(), "size", len(f.Payload))
	// The lock is held while an answer is put. After do has ended the exchange, either do or stray sees the answer.
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.current
	mine := x != nil && x.id == f.ID
	switch {
	case f.Type == frame.Accept && mine:
		put(x.accept, struct{}{})
	case f.Type == frame.Response && mine:
		put(x.answer, f.Payload)
	case f.Type == frame.Retry && x != nil:
		put(x.retry, struct{}{})
	case f.Type == frame.Response && s.stray != nil:
		s.stray(f.ID, f.Payload)
	default: // an accept of an abandoned request, a keep-alive, a request: no meaning for a host
	}
}

// put drops a value when the channel is full: only the first accept, retry or answer counts.
func put[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// do makes one exchange. The error is a *RemoteError when the gadget answered with an error, a *linkError when the
// exchange did not end.
func (s *session) do(ctx context.Context, c call, req *pb.Request) (*pb.Response, error) {
	return s.doAs(ctx, frame.NewID(), c, req)
}

// doAs is do with an id known to the caller; the id must be fresh.
func (s *session) doAs(ctx context.Context, id frame.ID, c call, req *pb.Request) (*pb.Response, error) {
	x := &exchange{
		id: id, accept: make(chan struct{}, 1), retry: make(chan struct{}, 1), answer: make(chan []byte, 1),
	}
	wire, err := encodeRequest(x.id, req, c.secret)
	if err != nil {
		return nil, err
	}
	if c.secret {
		defer clear(wire)
	}
	if err = s.begin(x); err != nil {
		return nil, err
	}
	payload, err := s.exchange(ctx, c, x, wire)
	s.end()
	if err != nil {
		select {
		case payload = <-x.answer: // in the last moment
		default:
			return nil, err
		}
	}
	return parseResponse(payload)
}

func (s *session) begin(x *exchange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		return errors.New("a request is already in flight on this channel")
	}
	s.current = x
	return nil
}

func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

// exchange sends the frame and waits for the answer.
func (s *session) exchange(ctx context.Context, c call, x *exchange, wire []byte) ([]byte, error) {
	fail := &linkError{id: x.id, request: c.name}
	if fail.err = ctx.Err(); fail.err != nil {
		return nil, fail
	}
	if err := s.send(wire, fail); err != nil {
		return nil, err
	}
	giveUp := ctx.Done()
	if c.whole {
		giveUp = nil
	}
	first := time.NewTimer(c.accept)
	defer first.Stop()
	whole := time.NewTimer(c.answer)
	defer whole.Stop()
	repeat := c.repeatable
	var again <-chan time.Time
	for {
		select {
		case payload := <-x.answer: // with or without an earlier accept
			return payload, nil
		case <-x.accept:
			fail.accepted, again = true, nil
			first.Stop()
		case <-x.retry: // perhaps for an earlier request: an accept tells
			if !fail.accepted && again == nil {
				again = time.After(retryGrace)
			}
		case <-again:
			if !repeat {
				fail.err = errLost
				return nil, fail
			}
			repeat, again = false, nil // only once: a sender that keeps failing is a fault to be seen
			if err := s.send(wire, fail); err != nil {
				return nil, err
			}
		case <-first.C:
			fail.err = fmt.Errorf("%w in %s", ErrNoAnswer, c.accept)
			return nil, fail
		case <-whole.C:
			fail.err = fmt.Errorf("%w in %s", ErrNoAnswer, c.answer)
			return nil, fail
		case <-giveUp:
			fail.err = ctx.Err()
			return nil, fail
		case <-s.ended:
			fail.err = s.reason
			return nil, fail
		}
	}
}

// send writes a whole frame as one transfer. A transfer with a length that is a multiple of the packet size does not
// end by itself: a zero-length packet ends the transfer.
func (s *session) send(wire []byte, fail *linkError) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	s.log.Debug("frame out", "request", fail.request, "frame_id", fail.id.String(), "size", len(wire)-frame.HeaderLen)
	before := fail.written
	fail.written = true
	n, err := s.ch.Write(ctx, wire)
	switch {
	case err == nil && n < len(wire):
		err = io.ErrShortWrite
	case err == nil && n%s.ch.MaxPacket() == 0:
		_, err = s.ch.Write(ctx, nil)
	}
	if err == nil {
		return nil
	}
	fail.torn = n > 0 && n < len(wire)
	if n == 0 && errors.Is(err, usb.ErrUnsent) {
		fail.written = before
	}
	fail.err = err
	if errors.Is(err, context.DeadlineExceeded) {
		fail.err = fmt.Errorf("%w: the gadget took nothing for %s", ErrNoAnswer, writeWait)
	}
	return fail
}

// retryGrace bounds the time from a Retry to a late accept. After a gadget was taken off the bus, the next session
// gets a Retry with nothing to repeat.
const retryGrace = 150 * time.Millisecond

// writeWait bounds a write to a gadget that does not read: the gadget's process was stopped, or the channel is
// wedged.
const writeWait = 5 * time.Second
