package usb

import (
	"context"
	"testing"

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

func TestUSBEvent(t *testing.T) {
	require.True(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usb\x00DEVTYPE=usb_device\x00")))
	require.False(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usbmon\x00")))
	require.False(t, usbEvent([]byte("SUBSYSTEM=usb")))
	require.False(t, usbEvent([]byte("add@/devices/x\x00ACTION=add\x00SUBSYSTEM=usb\x00DEVTYPE=usb_interface\x00")))
	require.False(t, usbEvent(nil))
}
