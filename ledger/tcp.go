package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// tcpTransport speaks to the APDU socket of Ledger's emulator. A request is the length of the APDU in 4 bytes, and
// the APDU. An answer is the length of its data alone, the data, and the 2 bytes of the status word.
type tcpTransport struct {
	conn net.Conn
	addr string
}

// DialTCP connects to an emulator's APDU socket.
func DialTCP(ctx context.Context, addr string) (Transport, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &tcpTransport{conn: conn, addr: addr}, nil
}

// Where is the socket's address.
func (t *tcpTransport) Where() string { return t.addr }

// Close ends the connection.
func (t *tcpTransport) Close() error { return t.conn.Close() }

// Exchange sends one frame and reads one.
func (t *tcpTransport) Exchange(ctx context.Context, apdu []byte) ([]byte, error) {
	deadline, _ := ctx.Deadline() // the zero time is no deadline
	if err := t.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = t.conn.SetDeadline(time.Unix(1, 0)) }) // wakes the reader
	defer stop()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(apdu)&0xffff))
	if _, err := t.conn.Write(append(frame, apdu...)); err != nil {
		return nil, orContext(ctx, err)
	}
	out, err := readTCPAnswer(t.conn)
	return out, orContext(ctx, err)
}

// orContext prefers the context's error: the reason why the deadline was set.
func orContext(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func readTCPAnswer(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxAnswer-swSize {
		return nil, fmt.Errorf("%w: the answer announces %d bytes", ErrBadAnswer, n)
	}
	out := make([]byte, n+swSize)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, err
	}
	return out, nil
}
