package ledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"highwater/internal/device"
	"highwater/internal/usb"
)

// ReportSize is the length of a HID report, without a report id.
const ReportSize = 64

// hidChannel is this host's channel. The device echoes the channel of a command's first report.
const hidChannel = 0x0101

// Tags of a report, after its channel.
const (
	tagPing = 0x02
	tagAPDU = 0x05
)

// Offsets in a report: channel 2 · tag 1 · sequence 2 · payload; the first payload begins with the total length.
const (
	offTag   = 2
	offSeq   = 3
	offData  = 5
	offFirst = offData + 2
)

// encodeReports cuts an APDU into reports of hidChannel, padded with zeros.
func encodeReports(apdu []byte) [][]byte {
	var out [][]byte
	rest := append(binary.BigEndian.AppendUint16(nil, uint16(len(apdu)&0xffff)), apdu...)
	for seq := uint16(0); len(rest) > 0; seq++ {
		report := make([]byte, ReportSize)
		binary.BigEndian.PutUint16(report, hidChannel)
		report[offTag] = tagAPDU
		binary.BigEndian.PutUint16(report[offSeq:], seq)
		n := copy(report[offData:], rest)
		out, rest = append(out, report), rest[n:]
	}
	return out
}

// assembler puts an answer together, of at most maxAnswer bytes. Foreign reports are skipped.
type assembler struct {
	total int
	data  []byte
	next  uint16
}

// add takes a report, and returns the answer when the answer is complete. After an error the assembler is of no more
// use.
func (a *assembler) add(report []byte) ([]byte, error) {
	if len(report) != ReportSize || binary.BigEndian.Uint16(report) != hidChannel || report[offTag] != tagAPDU {
		return nil, nil
	}
	seq := binary.BigEndian.Uint16(report[offSeq:])
	chunk := report[offData:]
	switch {
	case a.next == 0 && seq != 0:
		return nil, nil // the end of an answer whose beginning an earlier host read
	case seq != a.next:
		return nil, fmt.Errorf("%w: report %d follows report %d", ErrBadAnswer, seq, a.next-1)
	case seq == 0:
		a.total = int(binary.BigEndian.Uint16(chunk))
		if a.total < swSize || a.total > maxAnswer {
			return nil, fmt.Errorf("%w: the answer announces %d bytes", ErrBadAnswer, a.total)
		}
		chunk = report[offFirst:]
	}
	a.next++
	a.data = append(a.data, chunk[:min(len(chunk), a.total-len(a.data))]...)
	if len(a.data) < a.total {
		return nil, nil
	}
	return a.data, nil
}

// hidTransport carries APDUs in reports. A goroutine reads all the time: when an answer is not fetched within 2 s,
// the app ends and the device locks.
type hidTransport struct {
	rw      io.ReadWriteCloser
	where   string
	reports chan []byte
	done    chan struct{} // closed when the reader has ended
	err     error         // the reason why the reader has ended; valid after done
	closing sync.Once
	closed  error
}

// maxReports bounds the reports without a reader. Reports beyond the bound are dropped: no command waits for them.
const maxReports = 16

// NewHID makes a transport of a stream of 64-byte reports: a device node, or any connection. Each Write is one
// report, and Close ends reading and writing. NewHID sends a ping and waits for the echo: the ping brings the
// device's receiver to the beginning of a report, whatever an earlier host has left behind. While a prompt is on the
// screen no echo comes, and the error is an *Error with Busy.
func NewHID(ctx context.Context, rw io.ReadWriteCloser, where string) (Transport, error) {
	t := &hidTransport{rw: rw, where: where, reports: make(chan []byte, maxReports), done: make(chan struct{})}
	go t.read()
	if err := t.resync(ctx); err != nil {
		_ = t.Close() // the first error says more
		return nil, err
	}
	return t, nil
}

func (t *hidTransport) read() {
	defer close(t.done)
	buf := make([]byte, ReportSize)
	for {
		if _, err := io.ReadFull(t.rw, buf); err != nil {
			t.err = err
			return
		}
		select {
		case t.reports <- slices.Clone(buf):
		default:
		}
	}
}

// An echo comes within a few milliseconds. The ping is sent again in case the device was about to answer an earlier
// host. After pingLimit the device counts as busy.
const (
	pingAgain = 250 * time.Millisecond
	pingLimit = 800 * time.Millisecond
)

func (t *hidTransport) resync(ctx context.Context) error {
	ping := make([]byte, ReportSize)
	binary.BigEndian.PutUint16(ping, hidChannel)
	ping[offTag] = tagPing
	if _, err := rand.Read(ping[offSeq : offSeq+8]); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, pingLimit)
	defer stop()
	for {
		if err := t.write(ctx, ping); err != nil {
			return err
		}
		again, cancel := context.WithTimeout(ctx, pingAgain)
		err := t.waitEcho(again, ping)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return &device.Error{
				Health: device.Busy, Hint: adviceBusy, Retry: true,
				Err: errors.New("no echo to a ping: an answer or a prompt is outstanding"),
			}
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		}
	}
}

func (t *hidTransport) waitEcho(ctx context.Context, ping []byte) error {
	for {
		report, err := t.next(ctx)
		if err != nil {
			return err
		}
		if bytes.Equal(report, ping) {
			return nil
		}
	}
}

func (t *hidTransport) next(ctx context.Context) ([]byte, error) {
	select {
	case r := <-t.reports:
		return r, nil
	default:
	}
	select {
	case r := <-t.reports:
		return r, nil
	case <-t.done:
		return nil, fmt.Errorf("read report: %w", t.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// write sends a report. When ctx ends, write closes the stream, which ends a hanging write.
func (t *hidTransport) write(ctx context.Context, report []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = t.closeIO() })
	defer stop()
	if _, err := t.rw.Write(report); err != nil {
		return orContext(ctx, err)
	}
	return nil
}

func (t *hidTransport) closeIO() error {
	t.closing.Do(func() { t.closed = t.rw.Close() })
	return t.closed
}

// errIncomplete is wrapped when a command surely did not reach the device whole. The device does nothing with a part
// of a command.
var errIncomplete = errors.New("the command was not sent")

// Exchange drops reports that came unasked, sends the APDU and waits for its answer.
func (t *hidTransport) Exchange(ctx context.Context, apdu []byte) ([]byte, error) {
	for len(t.reports) > 0 {
		<-t.reports
	}
	reports := encodeReports(apdu)
	for i, report := range reports {
		switch err := t.write(ctx, report); {
		case err != nil && (i < len(reports)-1 || errors.Is(err, usb.ErrUnsent)):
			return nil, fmt.Errorf("%w: %w", errIncomplete, err)
		case err != nil:
			return nil, err
		}
	}
	in := &assembler{}
	for {
		report, err := t.next(ctx)
		if err != nil {
			return nil, err
		}
		out, err := in.add(report)
		if out != nil || err != nil {
			return out, err
		}
	}
}

// Where is the address given to NewHID.
func (t *hidTransport) Where() string { return t.where }

// Close ends reading and writing.
func (t *hidTransport) Close() error {
	err := t.closeIO()
	<-t.done
	return err
}
