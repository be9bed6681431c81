package ledgersim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Sizes of the HID framing: report = channel 2 · tag 1 · sequence 2 · payload; the first payload begins with the
// total length.
const (
	reportSize = 64
	hidHeader  = 5
)

// hidTimeout bounds the time from an answer to its fetching by the host. After hidTimeout the app ends and the device
// is locked.
const hidTimeout = 2 * time.Second

// ErrNotFetched is returned when the host did not fetch an answer in time.
var ErrNotFetched = errors.New("an answer was not fetched within 2 s: the app has ended and the device is locked")

// hidPort is the USB side of the device: a receiver that puts APDUs together, and the sender of the answers.
type hidPort struct {
	d    *Device
	conn *Conn
	rw   io.ReadWriteCloser

	mu      sync.Mutex // one writer at a time
	channel uint16     // of the command in work
	expect  uint16     // sequence number
	total   int
	buf     []byte
}

// ServeHID serves the device as a stream of 64-byte HID reports. Each Write is one report and should return when the
// host has fetched the report; Close ends reading and writing. ServeHID returns when ctx or the stream ends, with the
// stream closed.
func ServeHID(ctx context.Context, rw io.ReadWriteCloser, d *Device) error {
	ctx, cancel := context.WithCancel(ctx)
	p := &hidPort{d: d, conn: d.Connect(), rw: rw}
	var answers sync.WaitGroup
	var sent error
	answers.Go(func() {
		sent = p.send(ctx)
		_ = rw.Close() // ends the reader
	})
	stop := context.AfterFunc(ctx, func() { _ = rw.Close() }) // ends the reader
	received := p.receive()
	ended := !stop()
	cancel()
	_ = p.conn.Close() // never fails
	_ = rw.Close()     // ends the sender
	answers.Wait()
	switch {
	case errors.Is(sent, ErrNotFetched), errors.Is(received, ErrNotFetched):
		return ErrNotFetched
	case ended:
		return nil
	}
	return received
}

// receive takes reports until the stream ends.
func (p *hidPort) receive() error {
	buf := make([]byte, reportSize)
	for {
		if _, err := io.ReadFull(p.rw, buf); err != nil {
			return fmt.Errorf("read report: %w", err)
		}
		if err := p.report(buf); err != nil {
			return err
		}
	}
}

// report takes one report. While the device owes an answer every report is dropped, pings too.
func (p *hidPort) report(r []byte) error {
	if p.conn.owed() {
		return nil
	}
	p.conn.waitFetched()
	channel, tag := binary.BigEndian.Uint16(r), r[2]
	if tag != 0x05 {
		p.expect = 0
	}
	switch tag {
	case 0x00:
		return p.echo(r, make([]byte, 4))
	case 0x01:
		id := make([]byte, 4)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		return p.echo(r, id)
	case 0x02:
		return p.echo(r, nil)
	case 0x05:
		return p.part(channel, binary.BigEndian.Uint16(r[3:]), r[hidHeader:])
	}
	p.channel = channel // an unknown tag counts as the end of an APDU
	return p.conn.Send(nil)
}

func (p *hidPort) echo(r, id []byte) error {
	out := append([]byte{}, r...)
	copy(out[3:], id)
	return p.write(out)
}

// part takes a part of an APDU. After a wrong sequence number, or when an APDU is too long, the report is dropped and
// the receiver begins anew.
func (p *hidPort) part(channel, seq uint16, data []byte) error {
	if seq != p.expect {
		p.expect = 0
		return nil
	}
	if seq == 0 {
		p.total = int(binary.BigEndian.Uint16(data))
		if p.total > maxAPDU {
			return nil
		}
		p.channel, p.buf, data = channel, nil, data[2:]
	}
	p.buf = append(p.buf, data[:min(len(data), p.total-len(p.buf))]...)
	p.expect++
	if len(p.buf) < p.total {
		return nil
	}
	p.expect = 0
	return p.conn.Send(p.buf)
}

// send brings answers to the host.
func (p *hidPort) send(ctx context.Context) error {
	for {
		out, err := p.conn.peek(ctx)
		if err != nil {
			return err
		}
		for _, r := range cutReports(p.channel, out) {
			if err := p.write(r); err != nil {
				return err
			}
		}
		p.conn.pop()
	}
}

func cutReports(channel uint16, out []byte) [][]byte {
	var reports [][]byte
	rest := append(binary.BigEndian.AppendUint16(nil, uint16(len(out)&0xffff)), out...)
	for seq := uint16(0); len(rest) > 0; seq++ {
		r := make([]byte, reportSize)
		binary.BigEndian.PutUint16(r, channel)
		r[2] = 0x05
		binary.BigEndian.PutUint16(r[3:], seq)
		rest = rest[copy(r[hidHeader:], rest):]
		reports = append(reports, r)
	}
	return reports
}

// write gives the host 2 s to fetch a report.
func (p *hidPort) write(r []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	expired := make(chan struct{})
	timer := time.AfterFunc(hidTimeout, func() {
		defer close(expired)
		p.d.expire()
		_ = p.rw.Close() // ends the write
	})
	_, err := p.rw.Write(r)
	if !timer.Stop() {
		<-expired
		return ErrNotFetched
	}
	return err
}
