package usb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Finding is what a look at the bus shows: a connected device of interest and whether this process could use it, or a fault of the
// system when Info is zero.
type Finding struct {
	Info
	Err  error  // nil: it can be opened
	Hint string // what to do about Err
	// Holders are the programs that have it open, as far as this process may see: "octez-signer (pid 812)".
	Holders []string
}

// Survey looks at what is connected, for people; it opens nothing and changes nothing.
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
			f.Hint = "if this is a container, give it the devices' files: /dev/bus/usb"
		}
		out = append(out, f)
	}
	return out, nil
}

// system tells what USB lacks as a whole.
func system(root, nodes string) (Finding, bool) {
	switch {
	case !Available:
		return Finding{Err: ErrNoUSB, Hint: "build with CGO_ENABLED=1, or use a tcp:// transport"}, true
	case missing(root):
		return Finding{Err: errors.New("the kernel shows no USB (" + root + " is missing)"), Hint: "load the driver of the USB controller"}, true
	case missing(nodes):
		return Finding{
			Err: errors.New(nodes + " is missing"), Hint: "if this is a container, give it the devices' files: --volume /dev/bus/usb:/dev/bus/usb and a device rule for 189:*",
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

// holders finds who has a file open. Processes of other users show only to root.
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
			continue // it has ended
		}
		who := fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(dir))
		if !slices.Contains(out, who) && len(out) < maxHolders {
			out = append(out, who)
		}
	}
	return out
}
