package usb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is a result of a look at the bus: a connected device of interest, and whether the process could use the
// device; or a fault of the system, when Info is zero.
type Finding struct {
	Info
	Err  error  // nil: the device can be opened
	Hint string // the remedy for Err
	// Holders are the programs that have the device open, as far as the process may see: "octez-signer (pid 812)".
	Holders []string
}

// Survey looks at the connected devices, for people. Survey opens nothing and changes nothing.
func Survey(match Match) ([]Finding, error) {
	return survey(newScanner(sysfsRoot), "/dev/bus/usb", "/proc", match)
}

func survey(s *scanner, nodes, proc string, match Match) ([]Finding, error) {
	found, err := s.find(match)
	if err != nil {
		return nil, err
	}
	var out []Finding
	if f, bad := system(s.root, nodes); bad {
		out = append(out, f)
	}
	for _, i := range found {
		node := filepath.Join(nodes, fmt.Sprintf("%03d", i.Bus), fmt.Sprintf("%03d", i.Address))
		f := Finding{Info: i, Err: access(i, node), Holders: holders(proc, node)}
		if f.Hint = HintText(f.Err); f.Hint == "" && f.Err != nil {
			f.Hint = "in a container: give the container the devices' files: /dev/bus/usb"
		}
		out = append(out, f)
	}
	return out, nil
}

// system finds faults of USB as a whole.
func system(root, nodes string) (Finding, bool) {
	switch {
	case !Available:
		return Finding{Err: ErrNoUSB, Hint: "build with CGO_ENABLED=1, or use a tcp:// transport"}, true
	case missing(root):
		return Finding{
			Err:  errors.New("the kernel shows no USB (" + root + " is missing)"),
			Hint: "load the driver of the USB controller",
		}, true
	case missing(nodes):
		return Finding{
			Err: errors.New(nodes + " is missing"),
			Hint: "in a container: give the container the devices' files: " +
				"--volume /dev/bus/usb:/dev/bus/usb and a device rule for 189:*",
		}, true
	}
	return Finding{}, false
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// maxHolders bounds a list for people.
const maxHolders = 8

// holders finds the processes that have a file open. Only root sees processes of other users.
func holders(proc, node string) []string {
	fds, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return nil
	}
	var out []string
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != node {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		name, err := readBounded(filepath.Join(dir, "comm"))
		if err != nil {
			continue // the process has ended
		}
		who := fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(dir))
		if !slices.Contains(out, who) && len(out) < maxHolders {
			out = append(out, who)
		}
	}
	return out
}
