package usb

import (
	"bytes"
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Multicast groups of the kernel's event socket: what the kernel saw, and what udevd has dealt with (the device's file has its
// permissions by then).
const groups = 1 | 2

// watchTick bounds how long the end of ctx waits for the reader.
const watchTick = 500 * time.Millisecond

// Watch calls changed after each change of what is connected, until ctx ends. Where the system tells nothing (some containers) it
// just waits: it makes faster what a look now and then finds too.
func Watch(ctx context.Context, changed func()) {
	fd, err := eventSocket()
	if err != nil {
		<-ctx.Done()
		return
	}
	defer unix.Close(fd) //nolint:errcheck // nothing depends on it
	buf := make([]byte, 1<<16)
	for ctx.Err() == nil {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // events were lost
			changed()
		case err != nil:
			<-ctx.Done()
			return
		case usbEvent(buf[:n]):
			changed()
		}
	}
}

func eventSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return 0, err
	}
	tick := unix.NsecToTimeval(int64(watchTick))
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick))
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// usbEvent tells whether an event is about a USB device; its interfaces have events of their own, and the device one more when they
// are all there. Fields end with a zero byte, the kernel's and udevd's alike. What it says is not believed: it costs a look.
func usbEvent(b []byte) bool {
	return bytes.Contains(b, []byte("\x00SUBSYSTEM=usb\x00")) && bytes.Contains(b, []byte("\x00DEVTYPE=usb_device\x00"))
}
