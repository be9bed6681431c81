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

// Group is the group that the udev rules give the devices to.
const Group = "highwater"

// RulesFile is where the udev rules belong.
const RulesFile = "/etc/udev/rules.d/70-highwater.rules"

// AccessError says that a device is connected and this process may not open it.
type AccessError struct {
	Info Info
	Hint string // what to do, for an operator
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("no permission to open %04x:%04x at %s (%s)", e.Info.Vendor, e.Info.Product, e.Info.Where(), e.Info.Node())
}

// HintText is what to do about it.
func (e *AccessError) HintText() string { return e.Hint }

// Access tells whether this process may open a device: nil, an *AccessError, or an error that wraps ErrGone.
func Access(i Info) error { return access(i, i.Node()) }

func access(i Info, node string) error {
	switch err := unix.Access(node, unix.R_OK|unix.W_OK); {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: there is no %s", ErrGone, node)
	default:
		return &AccessError{Info: i, Hint: accessHint(node)}
	}
}

// accessHint says which step is missing: the rule, or the membership in the group to which it gives the device.
func accessHint(node string) string {
	info, err := os.Stat(node)
	if err != nil {
		return ruleHint()
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	const groupRW = 0o060
	if !ok || st.Gid == 0 || info.Mode().Perm()&groupRW != groupRW {
		return ruleHint()
	}
	gid := strconv.FormatUint(uint64(st.Gid), 10)
	group, account := gid, "USER"
	if g, err := user.LookupGroupId(gid); err == nil {
		group = g.Name
	}
	if u, err := user.Current(); err == nil {
		account = u.Username
	}
	return fmt.Sprintf("add the user to the group: sudo usermod -aG %s %s; then start the program anew (a service: systemctl restart highwater)", group, account)
}

func ruleHint() string {
	return "install the udev rules: sudo groupadd -f " + Group + "; sudo cp deploy/udev/70-highwater.rules " + RulesFile +
		"; sudo udevadm control --reload; sudo udevadm trigger --subsystem-match=usb; and be in the group: sudo usermod -aG " + Group + " USER"
}

// Rule is the udev rule that gives a device to Group. A product of 0 is any product of the vendor.
func Rule(vendor, product uint16) string {
	model := ""
	if product != 0 {
		model = fmt.Sprintf(`, ATTR{idProduct}=="%04x"`, product)
	}
	return fmt.Sprintf(`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x"%s, MODE="0660", GROUP="%s", TAG+="uaccess"`,
		vendor, model, Group)
}
