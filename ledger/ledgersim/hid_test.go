//go:build cgo

package ledgersim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"highwater/ledger/ledgersim"
)

// lockstep is a stream whose reader tells when it is back for the next report: what was sent before has been dealt
// with.
type lockstep struct {
	net.Conn
	back chan struct{}
}

func (l lockstep) Read(p []byte) (int, error) {
	l.back <- struct{}{}
	return l.Conn.Read(p)
}

// TestHIDRecordingReplays feeds the recorded reports to the emulated USB port. What was not answered shows in the
// order of the answers: the next one that comes is the next one that was recorded.
func TestHIDRecordingReplays(t *testing.T) {
	device, err := ledgersim.New(ledgersim.Options{Seed: zebra, Version: ledgersim.V251})
	require.NoError(t, err)
	host, gadget := net.Pipe()
	served, back := make(chan error, 1), make(chan struct{}, 1)
	go func() { served <- ledgersim.ServeHID(t.Context(), lockstep{gadget, back}, device) }()
	r := &replay{t: t, device: device}
	buf := make([]byte, 64)
	for i, line := range readLines(t, "hid.txt") {
		switch {
		case strings.HasPrefix(line, "=> "):
			<-back
			_, err := host.Write(unhex(t, line))
			require.NoError(t, err)
		case strings.HasPrefix(line, "<= "):
			n, err := host.Read(buf)
			require.NoError(t, err)
			want := unhex(t, line)
			if want[2] == 0x01 { // four bytes are random
				require.NotEqual(t, make([]byte, 4), buf[3:7])
				copy(buf[3:7], want[3:7])
			}
			require.Equal(t, hex.EncodeToString(want), hex.EncodeToString(buf[:n]), "line %d", i+1)
			r.count++
		case strings.HasPrefix(line, "# UI:"):
			<-back
			r.user(line)
			back <- struct{}{}
		}
	}
	require.Positive(t, r.count)
	require.NoError(t, host.Close())
	require.ErrorContains(t, <-served, "EOF")
}

func TestUnfetchedAnswerEndsTheApp(t *testing.T) { synctest.Test(t, testUnfetchedAnswer) }

func testUnfetchedAnswer(t *testing.T) {
	device, err := ledgersim.New(ledgersim.Options{Seed: zebra})
	require.NoError(t, err)
	host, gadget := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- ledgersim.ServeHID(context.Background(), gadget, device) }()
	report := make([]byte, 64)
	copy(report, []byte{1, 1, 5, 0, 0, 0, 5, 0x80})
	_, err = host.Write(report)
	require.NoError(t, err)
	require.ErrorIs(t, <-served, ledgersim.ErrNotFetched)
	require.Equal(t, []byte{0x55, 0x15}, device.Exchange([]byte{0x80, 0, 0, 0}), "locked")
	device.Unlock()
	require.Equal(t, []byte{0x65, 0x11}, device.Exchange([]byte{0x80, 0, 0, 0}), "at the dashboard")
	device.Open()
	require.True(t, bytes.HasPrefix(device.Exchange([]byte{0x80, 0, 0, 0}), []byte{1, 2, 5, 0}))
}
