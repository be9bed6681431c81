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

// ServeTCP serves the device on an APDU socket as Ledger's emulator does. A request is the length of the APDU in 4
// bytes, and the APDU. An answer is the length of its data, the data, and 2 bytes of status word. One client at a
// time: a new client displaces the old. ServeTCP returns when ctx ends or the listener fails, with every connection
// closed.
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
				return nil // the caller ended ctx
			}
			return fmt.Errorf("accept: %w", err)
		}
		conn := d.Connect()
		clients.Go(func() { serveConn(ctx, c, conn) })
	}
}

// serveConn moves commands and answers between a socket and a connection to the device, until either ends.
func serveConn(ctx context.Context, c net.Conn, conn *Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var answers sync.WaitGroup
	answers.Go(func() {
		writeAnswers(ctx, c, conn)
		_ = c.Close() // ends the reader below
	})
	for {
		apdu, err := readRequest(c)
		if err != nil || conn.Send(apdu) != nil {
			break
		}
	}
	cancel()
	_ = conn.Close() // never fails
	_ = c.Close()    // no client is left to tell
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
