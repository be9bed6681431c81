package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// cutter fails one report of the next message.
type cutter struct {
	mu      sync.Mutex
	at      int // -1: none
	err     error
	message bool // the reports are those of a message
}

func (c *cutter) arm(at int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.err = at, err
}

func (c *cutter) failed(report []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	const offSeq, offAPDU = 3, 7
	seq := int(binary.BigEndian.Uint16(report[offSeq:]))
	if seq == 0 {
		c.message = string(report[offAPDU:offAPDU+3]) == "\x80\x0f\x81"
	}
	if !c.message || seq != c.at {
		return nil
	}
	c.at = -1
	return c.err
}

// cut is a stream of reports with a cutter in it.
type cut struct {
	net.Conn
	*cutter
}

func (c cut) Write(report []byte) (int, error) {
	if err := c.failed(report); err != nil {
		return 0, err
	}
	return c.Conn.Write(report)
}

// TestUnsentCommandIsNotInDoubt: a message whose last report did not leave cannot have been signed, and may be asked
// for as if it had never been. What became of a last report whose transfer failed, nobody knows.
func TestUnsentCommandIsNotInDoubt(t *testing.T) {
	w := &witness{}
	sim := newSim(t, func(o *ledgersim.Options) { o.Trace = w.trace })
	c := &cutter{at: -1}
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	t.Cleanup(func() { cancel(); served.Wait() })
	d := start(t, func(dial context.Context) (ledger.Transport, error) {
		host, gadget := net.Pipe()
		served.Go(func() { _ = ledgersim.ServeHID(ctx, gadget, sim) })
		return ledger.NewHID(dial, cut{host, c}, "usb 1-1")
	})
	broken := errors.New("transfer failed")
	const last = 4
	for at := 0; at <= last; at++ {
		for _, err := range []error{broken, fmt.Errorf("%w: %w", usb.ErrUnsent, broken)} {
			waitFor(t, d, device.Ready)
			payload := blockHeader(t, ghost, int32(101+at))
			c.arm(at, err)
			_, got := sign(t, d, payload)
			require.ErrorIs(t, got, broken)
			require.Equal(t, at == last && !errors.Is(err, usb.ErrUnsent), asError(t, got).Asked, "report %d: %v", at, err)
			require.False(t, w.has(payload))
			require.True(t, asError(t, got).Retry)
		}
		_, err := persist(t, d, w, blockHeader(t, ghost, int32(101+at)))
		require.NoError(t, err)
	}
}
