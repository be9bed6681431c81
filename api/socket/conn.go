package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"highwater/api"
	"highwater/api/socket/message"
	"highwater/internal/door"
	"highwater/internal/tezos"
)

// conn is a connection with its requests, in their order.
type conn struct {
	*server
	net.Conn
	client string
	from   *bufio.Reader
}

// frame is a message, or the end of a connection.
type frame struct {
	body  []byte
	err   error
	begun bool // the error came within a message
}

// serve answers until the client goes, or is silent for too long. A client going while a request is at work ends
// the waiting of the request, as over HTTP.
func (c *conn) serve(ctx context.Context) {
	c.from = bufio.NewReaderSize(c.Conn, message.MaxRequest+message.HeaderLen)
	frames, next, stop := make(chan frame), make(chan struct{}, 1), make(chan struct{})
	defer close(stop)
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	c.done.Go(func() { c.read(frames, next, stop, gone) })
	for c.more() {
		next <- struct{}{}
		f := <-frames
		if f.err != nil {
			c.farewell(f)
			return
		}
		if !c.open.Whole(c.Conn) {
			return // cut for a newcomer
		}
		answer, report := c.answer(ctx, f.body)
		err := c.send(answer)
		report()
		c.open.State(c.Conn, http.StateIdle)
		if err != nil {
			return
		}
	}
}

// more begins the idle time, if the connection may bring a further request.
func (c *conn) more() bool {
	select {
	case <-c.ending:
		return false
	default:
		return c.SetReadDeadline(time.Now().Add(c.limits.Idle)) == nil
	}
}

// read reads the messages of a connection, each on demand; between messages, read looks whether the client goes.
func (c *conn) read(frames chan<- frame, next, stop <-chan struct{}, gone context.CancelFunc) {
	var lost error
	for {
		select {
		case <-next:
		case <-stop:
			return
		}
		f := frame{err: lost}
		if lost == nil {
			f = c.readFrame()
		}
		select {
		case frames <- f:
		case <-stop:
			return
		}
		if f.err != nil {
			return
		}
		if _, lost = c.from.Peek(1); lost != nil {
			gone()
		}
	}
}

// readFrame reads a message: the first byte within the idle time, and the rest within the time of a request. No time
// runs when the message is whole.
func (c *conn) readFrame() frame {
	if _, err := c.from.Peek(1); err != nil {
		return frame{err: err}
	}
	if err := c.SetReadDeadline(time.Now().Add(c.limits.ReadHeader)); err != nil {
		return frame{err: err}
	}
	var header [message.HeaderLen]byte
	if _, err := io.ReadFull(c.from, header[:]); err != nil {
		return frame{err: err, begun: true}
	}
	n := int(binary.BigEndian.Uint16(header[:]))
	if n > message.MaxRequest {
		return frame{err: fmt.Errorf("the message has %d bytes, and may have %d", n, message.MaxRequest), begun: true}
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.from, body); err != nil {
		return frame{err: err, begun: true}
	}
	return frame{body: body, err: c.SetReadDeadline(time.Time{})}
}

// farewell ends a connection. A client with an unfinished message is told why.
func (c *conn) farewell(f frame) {
	if !f.begun || errors.Is(f.err, net.ErrClosed) { // idle, gone, or cut
		return
	}
	text := f.err.Error()
	switch {
	case errors.Is(f.err, os.ErrDeadlineExceeded):
		text = "the rest of the message did not come in time"
	case errors.Is(f.err, io.EOF), errors.Is(f.err, io.ErrUnexpectedEOF):
		text = "the client went within a message"
	}
	c.answers.Door.TurnAway(c.client, door.Undecodable, text)
	door.Bye(c.Conn, message.ErrorAnswer(text))
}

func (c *conn) send(answer []byte) error {
	if err := c.SetWriteDeadline(time.Now().Add(c.limits.Write)); err != nil {
		return err
	}
	_, err := c.Write(answer)
	return err
}

func nothing() {}

// answer gives the answer to a message; report is called when the answer was sent.
func (c *conn) answer(ctx context.Context, body []byte) (answer []byte, report func()) {
	q, err := message.ParseRequest(body)
	if err != nil {
		c.answers.Door.TurnAway(c.client, door.Undecodable, err.Error())
		return message.ErrorAnswer(err.Error()), nothing
	}
	if q.Kind == message.Sign {
		return c.sign(ctx, q)
	}
	answer, err = c.tell(ctx, q)
	if err != nil {
		answer = message.ErrorAnswer(api.ErrorText(err))
	}
	return answer, nothing
}

func (c *conn) sign(ctx context.Context, m message.Request) (answer []byte, report func()) {
	q := api.Question{ID: c.answers.NextID(), Client: c.client, PKH: m.PKH, Payload: m.Data}
	if m.Version != nil {
		q.Versions = []string{strconv.Itoa(int(*m.Version))}
	}
	q.Signed = func() ([]tezos.Signature, error) { return authentications(m) }
	sig, report, err := c.answers.Sign(ctx, q)
	if err != nil {
		return message.ErrorAnswer(api.ErrorText(err)), report
	}
	return message.SignatureAnswer(sig), report
}

// authentications are the signatures of the client in a request: none or one.
func authentications(m message.Request) ([]tezos.Signature, error) {
	if len(m.Authentication) == 0 {
		return nil, nil
	}
	sig, err := tezos.SignatureFromBytes(m.Authentication)
	return []tezos.Signature{sig}, err
}

// tell answers all requests but signatures.
func (c *conn) tell(ctx context.Context, q message.Request) ([]byte, error) {
	switch q.Kind {
	case message.PublicKey:
		key, err := c.answers.PublicKey(c.client, q.PKH)
		if err != nil {
			return nil, err
		}
		return message.PublicKeyAnswer(key), nil
	case message.AuthorizedKeys:
		return message.AuthorizedKeysAnswer(c.answers.Authorized()), nil
	case message.SupportsNonces:
		_, err := c.answers.PublicKey(c.client, q.PKH)
		return message.NoNoncesAnswer(), err
	case message.KnownKeys:
		keys, err := c.answers.Known()
		return message.KnownKeysAnswer(keys), err
	case message.ProvePossession:
		return c.prove(ctx, q)
	case message.Sign, message.DeterministicNonce, message.NonceHash:
	}
	return nil, errNoNonces
}

// errNoNonces refuses deterministic nonces.
var errNoNonces = errors.New("the signer makes no deterministic nonces: the keys are in devices, and the devices " +
	"only sign")

func (c *conn) prove(ctx context.Context, q message.Request) ([]byte, error) {
	proof, err := c.answers.Prove(ctx, api.ProofQuestion{
		Client: c.client, PKH: q.PKH,
		Over:   func() ([]byte, error) { return q.OverKey, nil },
		Signed: func() ([]tezos.Signature, error) { return authentications(q) },
	})
	if err != nil {
		return nil, err
	}
	return message.SignatureAnswer(proof), nil
}
