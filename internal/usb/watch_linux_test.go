package usb

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestWatchEnds(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, func() {})
	}()
	cancel()
	<-done
}

// The reader of events is woken by the end: it has no tick of its own.
func TestWatchEndsAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	events, err := eventSocket()
	require.NoError(t, err) // every Linux kernel has the socket, also in a container without devices
	require.NoError(t, events.SetReadDeadline(time.Now().Add(time.Millisecond)), "a read that cannot be woken")
	require.NoError(t, events.Close())
	least := time.Hour
	for range 5 { // the best of some: a machine may be busy, but not each time
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); Watch(ctx, func() {}) }()
		time.AfterFunc(10*time.Millisecond, cancel) // it reads by then, or ends before
		<-ctx.Done()
		start := time.Now()
		<-done
		least = min(least, time.Since(start))
	}
	require.Less(t, least, 100*time.Millisecond)
}

func TestUSBEvent(t *testing.T) {
	require.True(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00")))
	require.False(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usbmon\x00")))
	require.False(t, usbEvent([]byte("SUBSYSTEM=usb")))
	require.False(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usb\x00DEVTYPE=usb_interface\x00")))
	require.False(t, usbEvent(nil))
}
