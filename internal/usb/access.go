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
	switch err := unix.Access(node, unix.R_OK|unix.W_OK); {
	case err == nil:
		return nil
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
