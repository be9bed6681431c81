package usb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Multicast groups of the kernel's event socket: the kernel's own events, and the events already handled by udevd
// (after which the device's file has its permissions).
const groups = 1 | 2

// Watch calls changed after each change of the connected devices, until ctx ends. On a system without events (some
// containers) Watch only waits: Watch speeds up the discovery of changes that periodic looks find too.
func Watch(ctx context.Context, changed func()) {
	events, err := eventSocket()
	if err != nil {
		<-ctx.Done()
		return
	}
	defer events.Close() //nolint:errcheck // nothing depends on it

	// The reader ends at once.
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 1<<16)
	for ctx.Err() == nil {
		n, err := events.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS): // events were lost
			changed()
		case errors.Is(err, io.EOF): // an empty message
		case err != nil:
			<-ctx.Done()
			return
		case usbEvent(buf[:n]):
			changed()
		}
	}
}

// eventSocket returns the kernel's event socket, as a file whose readers Go can wake.
func eventSocket() (*os.File, error) {
	const kind = unix.SOCK_DGRAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	fd, err := unix.Socket(unix.AF_NETLINK, kind, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "uevents"), nil
}

// usbEvent tells whether an event is about a USB device. Interfaces have events of their own, and the device has one
// more event when all interfaces are present. Fields of the kernel and of udevd end with a zero byte. The content of
// an event is not trusted: an event costs only a look.
func usbEvent(b []byte) bool {
	return bytes.Contains(b, []byte("\x00SUBSYSTEM=usb\x00")) && bytes.Contains(b, []byte("\x00DEVTYPE=usb_device\x00"))
}
