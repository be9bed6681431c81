package usb

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Group is the group to which the udev rules in deploy/udev give the devices.
const Group = "highwater"

// rules are the files in deploy/udev, by vendor.
var rules = map[uint16]string{0x2c97: "70-highwater-ledger.rules", 0x9997: "70-highwater-tezsign.rules"}

// AccessError says that a device is connected and the process may not open the device.
type AccessError struct {
	Info Info
	Hint string // the next step for an operator
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("no permission to open %04x:%04x at %s (%s)",
		e.Info.Vendor, e.Info.Product, e.Info.Where(), e.Info.Node())
}

// HintText is the next step for an operator.
func (e *AccessError) HintText() string { return e.Hint }

// Access tells whether the process may open a device: nil, an *AccessError, or an error that wraps ErrGone.
func Access(i Info) error { return access(i, i.Node()) }

func access(i Info, node string) error {
	err := unix.Access(node, unix.R_OK|unix.W_OK)
	if err == nil {
		err = opens(node) // a file with the right permissions may be kept away all the same
	}
	return judgeAccess(i, node, err)
}

// opens opens the file of a device, and closes it again. Nothing is sent to the device.
func opens(node string) error {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// filterHint is for EPERM: no permission of the file is missing, but a filter of devices keeps the process out.
const filterHint = "a filter of devices keeps the process from the USB devices, and no udev rule helps: under " +
	"systemd, take over " +
	"DeviceAllow= and modprobe@usbcore.service of the unit in deploy/systemd, then: systemctl restart highwater; in " +
	"a container, " +
	"pass /dev/bus/usb on with its device class"

func judgeAccess(i Info, node string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return &AccessError{Info: i, Hint: filterHint}
	case !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.ENOENT):
		return nil // ENXIO, ENODEV and others are for libusb to name
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: %s is missing", ErrGone, node)
	default:
		return &AccessError{Info: i, Hint: accessHint(i.Vendor, node)}
	}
}

// accessHint names the missing step: installing the rule, or joining the group to which the rule gives the device.
func accessHint(vendor uint16, node string) string {
	info, err := os.Stat(node)
	if err != nil {
		return ruleHint(vendor)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	const groupRW = 0o060
	if !ok || st.Gid == 0 || info.Mode().Perm()&groupRW != groupRW {
		return ruleHint(vendor)
	}
	gid := strconv.FormatUint(uint64(st.Gid), 10)
	group, account := gid, "USER"
	if g, err := user.LookupGroupId(gid); err == nil {
		group = g.Name
	}
	if u, err := user.Current(); err == nil {
		account = u.Username
	}
	return fmt.Sprintf("add the user to the device's group, and start anew: sudo usermod -aG %s %s", group, account)
}

func ruleHint(vendor uint16) string {
	file, ok := rules[vendor]
	if !ok {
		return "let the user read and write the device's file, by a udev rule"
	}
	return "install the udev rule: sudo groupadd --system --force " + Group +
		" && sudo install -m 644 deploy/udev/" + file + " /etc/udev/rules.d/" +
		" && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb"
}
