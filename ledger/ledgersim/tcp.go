package ledgersim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// ServeTCP serves the device on an APDU socket as Ledger's emulator does: a request is its length in 4 bytes and the APDU; an answer
// is the length of its data, the data, and 2 bytes of status word. One client at a time: a new one displaces the old. It returns
// when ctx ends, or the listener fails; every connection is closed then.
func ServeTCP(ctx context.Context, l net.Listener, d *Device) error {
	var clients sync.WaitGroup
	defer clients.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() }) // only Accept needs to know
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil // the end was asked for
			}
			return fmt.Errorf("accept: %w", err)
		}
		conn := d.Connect()
		clients.Go(func() { serveConn(ctx, c, conn) })
	}
}

// serveConn moves commands and answers between a socket and a connection to the device, until one of them ends.
func serveConn(ctx context.Context, c net.Conn, conn *Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var answers sync.WaitGroup
	answers.Go(func() {
		writeAnswers(ctx, c, conn)
		_ = c.Close() // it ends the reader below
	})
	for {
		apdu, err := readRequest(c)
		if err != nil || conn.Send(apdu) != nil {
			break
		}
	}
	cancel()
	_ = conn.Close() // it never fails
	_ = c.Close()    // nobody is left to tell
	answers.Wait()
}

func writeAnswers(ctx context.Context, c net.Conn, conn *Conn) {
	for {
		out, err := conn.Receive(ctx)
		if err != nil {
			return
		}
		frame := binary.BigEndian.AppendUint32(nil, uint32(max(len(out)-swSize, 0)&0xffff))
		if _, err := c.Write(append(frame, out...)); err != nil {
			return
		}
	}
}

// maxAPDU is the app's buffer.
const maxAPDU = 260

var errTooLong = errors.New("the request is longer than the device's buffer")

func readRequest(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxAPDU {
		return nil, errTooLong
	}
	out := make([]byte, n)
	_, err := io.ReadFull(r, out)
	return out, err
}
