package usb

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// sysfsRoot is where the kernel lists USB devices and their interfaces.
const sysfsRoot = "/sys/bus/usb/devices"

// Bounds of reads in sysfs.
const (
	maxAttribute = 4096
	maxDevices   = 4096
)

// scanner finds connected devices. A scanner remembers the constant facts of a connected device: looking again costs
// one status call for each device of the system, and some small files for each device of interest. Some files (texts,
// the number of interfaces) cannot be read while the kernel configures or removes the device, or, of a hub, while the
// hub deals with a port: the scanner reads these files once, and only of devices of interest.
type scanner struct {
	root string

	mu   sync.Mutex // not held during reads
	seen map[string]entry
}

type entry struct {
	inode           uint64
	vendor, product uint16
	info            *Info // nil: not read yet; without the interfaces
	interfaces      int
}

func newScanner(root string) *scanner { return &scanner{root: root, seen: map[string]entry{}} }

// List gives the connected devices of interest, ordered by port. A system without USB has none.
func List(match Match) ([]Info, error) { return newScanner(sysfsRoot).find(match) }

func (s *scanner) find(match Match) ([]Info, error) {
	s.mu.Lock()
	before := s.seen // replaced as a whole, never changed
	s.mu.Unlock()
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]entry, len(names))
	var out []Info
	for _, name := range names {
		e, ok := s.entry(name, before)
		if !ok {
			continue // the device has left, or is on its way
		}
		if match(e.vendor, e.product) {
			var info Info
			if info, ok = s.read(name, &e); ok {
				out = append(out, info)
			}
		}
		seen[name] = e
	}
	s.mu.Lock()
	s.seen = seen
	s.mu.Unlock()
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Port, b.Port) })
	return out, nil
}

// connected returns the identity of every connected device, by bus and address, from files that can always be read at
// once.
func (s *scanner) connected() (map[[2]int]ID, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	out := make(map[[2]int]ID, len(names))
	for _, name := range names {
		dir := filepath.Join(s.root, name)
		inode, ok := inodeOf(dir)
		a := attributes(dir)
		id := a.id(inode)
		if ok && a.ok {
			out[[2]int{id.Bus, id.Address}] = id
		}
	}
	return out, nil
}

// present tells whether a device found earlier is still connected.
func (s *scanner) present(i Info) bool {
	inode, ok := inodeOf(filepath.Join(s.root, i.Port))
	return ok && inode == i.inode
}

// names are the entries of devices. An entry with a colon is an interface.
func (s *scanner) names() ([]string, error) {
	dir, err := os.Open(s.root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // it was only read
	names, err := dir.Readdirnames(maxDevices)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, ":") }), nil
}

// entry looks at a device. The inode number of the device's directory tells one plugging-in from the next.
func (s *scanner) entry(name string, seen map[string]entry) (entry, bool) {
	dir := filepath.Join(s.root, name)
	inode, ok := inodeOf(dir)
	if !ok {
		return entry{}, false
	}
	if e, ok := seen[name]; ok && e.inode == inode {
		return e, true
	}
	a := attributes(dir)
	vendor, product := a.number("idVendor", 16, 16), a.number("idProduct", 16, 16)
	e := entry{inode: inode, vendor: uint16(vendor), product: uint16(product)} //nolint:gosec // 16 bits
	return e, a.ok
}

func inodeOf(path string) (uint64, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Ino, true
}

// read reads a device. The device is incomplete when the kernel has not configured the device yet, or when the device
// is leaving; e keeps the facts of a complete device.
func (s *scanner) read(name string, e *entry) (Info, bool) {
	dir := filepath.Join(s.root, name)
	if e.info == nil {
		a := attributes(dir)
		info := Info{
			ID: a.id(e.inode), Vendor: e.vendor, Product: e.product, Port: name,
			Speed: a.text("speed"), Manufacturer: a.optional("manufacturer"),
			Name: a.optional("product"), SerialNum: a.optional("serial"),
		}
		want := int(a.number("bNumInterfaces", 10, 8)) //nolint:gosec // 8 bits
		if !a.ok || want == 0 {
			return Info{}, false
		}
		e.info, e.interfaces = &info, want
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Info{}, false
	}
	info := *e.info
	for _, d := range entries {
		if strings.HasPrefix(d.Name(), name+":") {
			if i, ok := readInterface(filepath.Join(dir, d.Name())); ok {
				info.Interfaces = append(info.Interfaces, i)
			}
		}
	}
	slices.SortFunc(info.Interfaces, func(x, y Interface) int { return x.Number - y.Number })
	return info, len(info.Interfaces) == e.interfaces
}

func readInterface(dir string) (Interface, bool) {
	a := attributes(dir)
	i := Interface{
		Number:    int(a.number("bInterfaceNumber", 16, 8)),  //nolint:gosec // 8 bits
		Class:     uint8(a.number("bInterfaceClass", 16, 8)), //nolint:gosec // 8 bits
		Endpoints: int(a.number("bNumEndpoints", 16, 8)),     //nolint:gosec // 8 bits
	}
	if target, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
		i.Driver = filepath.Base(target)
	}
	if i.Class == ClassHID {
		reports, err := filepath.Glob(filepath.Join(dir, "*", "report_descriptor"))
		if err == nil && len(reports) == 1 {
			if b, err := readBounded(reports[0]); err == nil {
				i.UsagePage, i.Usage = FirstUsage(b)
			}
		}
	}
	return i, a.ok
}

// attrs reads the attributes of one entry; ok becomes false when a needed attribute cannot be read.
type attrs struct {
	dir string
	ok  bool
}

func attributes(dir string) *attrs { return &attrs{dir: dir, ok: true} }

func (a *attrs) text(name string) string {
	b, err := readBounded(filepath.Join(a.dir, name))
	if err != nil {
		a.ok = false
	}
	return strings.TrimSpace(string(b))
}

// optional is for attributes that a device may leave out.
func (a *attrs) optional(name string) string {
	b, err := readBounded(filepath.Join(a.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		a.ok = false
	}
	return strings.TrimSpace(string(b))
}

// id is the device's identity.
func (a *attrs) id(inode uint64) ID {
	bus, address := a.number("busnum", 10, 16), a.number("devnum", 10, 16)
	return ID{Bus: int(bus), Address: int(address), inode: inode} //nolint:gosec // 16 bits
}

func (a *attrs) number(name string, base, bits int) uint64 {
	n, err := strconv.ParseUint(a.text(name), base, bits)
	if err != nil {
		a.ok = false
	}
	return n
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // below the kernel's own directory
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxAttribute+1))
	if err == nil && len(b) > maxAttribute {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxAttribute)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
