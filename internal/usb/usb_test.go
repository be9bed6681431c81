package usb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bus is a made-up /sys/bus/usb/devices: links to directories elsewhere, as the kernel has them.
type bus struct {
	t    *testing.T
	root string
	made int
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{t: t, root: t.TempDir()}
	b.plug("usb1", "1d6b", "0002", "", [2]string{"09", "00"})
	return b
}

// plug adds a device with interfaces of these classes, each with a report descriptor or none.
func (b *bus) plug(port, vendor, product, serial string, interfaces ...[2]string) {
	b.t.Helper()
	b.made++
	dir := filepath.Join(b.t.TempDir(), fmt.Sprint(b.made), port)
	b.write(dir, map[string]string{
		"idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": strconv.Itoa(b.made), "speed": "480",
		"bNumInterfaces": fmt.Sprintf(" %d", len(interfaces)), "manufacturer": "M", "product": "P",
	})
	if serial != "" {
		b.write(dir, map[string]string{"serial": serial})
	}
	for n, f := range interfaces {
		name := fmt.Sprintf("%s:1.%d", port, n)
		b.write(filepath.Join(dir, name), map[string]string{
			"bInterfaceNumber": fmt.Sprintf("%02d", n), "bInterfaceClass": f[0], "bNumEndpoints": "02",
		})
		if f[1] != "00" {
			b.write(filepath.Join(dir, name, "0003:2C97:5011.0001"), map[string]string{"report_descriptor": f[1]})
			require.NoError(b.t, os.Symlink("../../drivers/usbhid", filepath.Join(dir, name, "driver")))
		}
		require.NoError(b.t, os.Symlink(filepath.Join(dir, name), filepath.Join(b.root, name)))
	}
	require.NoError(b.t, os.Symlink(dir, filepath.Join(b.root, port)))
}

func (b *bus) write(dir string, files map[string]string) {
	b.t.Helper()
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	for name, text := range files {
		require.NoError(b.t, os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600))
	}
}

func (b *bus) unplug(port string) {
	b.t.Helper()
	all, err := filepath.Glob(filepath.Join(b.root, port+"*"))
	require.NoError(b.t, err)
	for _, path := range all {
		require.NoError(b.t, os.Remove(path))
	}
}

func any16(uint16, uint16) bool { return true }

func ledgers(vendor, _ uint16) bool { return vendor == 0x2c97 }

func tezsigns(vendor, _ uint16) bool { return vendor == 0x9997 }

const appReport = "\x06\xa0\xff\x09\x01\xa1\x01"

func TestFind(t *testing.T) {
	b := newBus(t)
	b.plug("1-2", "2c97", "5011", "0001", [2]string{"03", appReport}, [2]string{"ff", "00"})
	b.plug("1-1", "9997", "0001", "T-1", [2]string{"ff", "00"}, [2]string{"ff", "00"})
	s := newScanner(b.root)
	all, err := s.find(any16)
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, []string{"1-1", "1-2", "usb1"}, []string{all[0].Port, all[1].Port, all[2].Port}, "by port")

	found, err := s.find(ledgers)
	require.NoError(t, err)
	require.Len(t, found, 1)
	i := found[0]
	require.NotZero(t, i.inode)
	i.inode = 0
	require.Equal(t, Info{
		ID: ID{Bus: 1, Address: 2}, Vendor: 0x2c97, Product: 0x5011, Manufacturer: "M", Name: "P",
		SerialNum: "0001", Port: "1-2", Speed: "480",
		Interfaces: []Interface{
			{Number: 0, Class: ClassHID, Driver: "usbhid", Endpoints: 2, UsagePage: 0xffa0, Usage: 1},
			{Number: 1, Class: ClassVendor, Endpoints: 2},
		},
	}, i)
	require.Equal(t, "usb 1-2", i.Where())
	require.Equal(t, "/dev/bus/usb/001/002", i.Node())
}

func TestFindAgain(t *testing.T) {
	b := newBus(t)
	s := newScanner(b.root)
	b.plug("1-1", "2c97", "5011", "0001", [2]string{"03", "00"})
	first, err := s.find(ledgers)
	require.NoError(t, err)
	require.Len(t, first, 1)
	require.True(t, s.present(first[0]))
	b.unplug("1-1")
	require.False(t, s.present(first[0]))
	none, err := s.find(ledgers)
	require.NoError(t, err)
	require.Empty(t, none)

	b.plug("1-1", "2c97", "5011", "0001", [2]string{"03", "00"})
	second, err := s.find(ledgers)
	require.NoError(t, err)
	require.Len(t, second, 1)
	require.NotEqual(t, first[0].ID, second[0].ID, "another plugging-in")
	require.False(t, s.present(first[0]))

	b.unplug("1-1")
	b.plug("1-1", "9997", "0001", "T-1", [2]string{"ff", "00"})
	none, err = s.find(ledgers)
	require.NoError(t, err)
	require.Empty(t, none, "another device at the same port")
}

// locked are the files that the kernel lets nobody read while it configures or removes a device.
var locked = []string{"manufacturer", "product", "serial", "bNumInterfaces"}

// lock makes a file one that keeps its readers waiting, and gives its path.
func (b *bus) lock(port, file string) string {
	b.t.Helper()
	path := filepath.Join(b.root, port, file)
	require.NoError(b.t, os.Remove(path))
	require.NoError(b.t, syscall.Mkfifo(path, 0o600))
	return path
}

// inTime fails when f takes long; it is left behind then.
func inTime[T any](t *testing.T, f func() (T, error)) T {
	t.Helper()
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-time.After(10 * time.Second):
		require.Fail(t, "it waits for the kernel")
	}
	require.NoError(t, r.err)
	return r.v
}

// What the kernel may keep for itself for seconds is read once. A device on its way out, or a hub at work, keeps
// nobody waiting.
func TestFindDoesNotWait(t *testing.T) {
	b := newBus(t)
	b.plug("1-1", "9997", "0001", "T-1", [2]string{"ff", "00"}, [2]string{"ff", "00"})
	b.write(filepath.Join(b.root, "usb1"), map[string]string{"serial": "hub"})
	s := newScanner(b.root)
	find := func() ([]Info, error) { return s.find(tezsigns) }
	first := inTime(t, find)
	require.Len(t, first, 1)
	for _, file := range locked {
		b.lock("1-1", file)
		b.lock("usb1", file)
	}
	require.Equal(t, first, inTime(t, find))
	known := inTime(t, s.connected)
	require.Len(t, known, 2)
	require.Equal(t, first[0].ID, known[[2]int{first[0].Bus, first[0].Address}])
}

// A device that the kernel is busy with does not keep the drivers of others waiting.
func TestFindOthersMeanwhile(t *testing.T) {
	b := newBus(t)
	b.plug("1-1", "9997", "0001", "T-1", [2]string{"ff", "00"}, [2]string{"ff", "00"})
	b.plug("1-2", "2c97", "5011", "0001", [2]string{"03", "00"})
	path := b.lock("1-2", "bNumInterfaces")
	s := newScanner(b.root)
	coming := make(chan int, 1)
	go func() {
		found, err := s.find(ledgers)
		if err == nil {
			coming <- len(found)
		}
		close(coming)
	}()
	file, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
	require.NoError(t, err)
	require.Len(t, inTime(t, func() ([]Info, error) { return s.find(tezsigns) }), 1)
	_, err = file.WriteString("1\n")
	require.NoError(t, errors.Join(err, file.Close()))
	require.Equal(t, 1, <-coming)
}

// A device that is coming or leaving is not there: its files appear and vanish one by one.
func TestFindIncomplete(t *testing.T) {
	for _, file := range []string{
		"idVendor", "busnum", "devnum", "bNumInterfaces", "speed", "1-1:1.1",
		"1-1:1.1/bInterfaceClass",
	} {
		b := newBus(t)
		b.plug("1-1", "2c97", "5011", "0001", [2]string{"03", "00"}, [2]string{"ff", "00"})
		s := newScanner(b.root)
		found, err := s.find(ledgers)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NoError(t, os.RemoveAll(filepath.Join(b.root, "1-1", file)))
		found, err = newScanner(b.root).find(ledgers)
		require.NoError(t, err)
		require.Empty(t, found, file)
	}
}

func TestFindNoUSB(t *testing.T) {
	found, err := newScanner(filepath.Join(t.TempDir(), "absent")).find(any16)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestFindGarbage(t *testing.T) {
	b := newBus(t)
	b.plug("1-1", "zzzz", "5011", "0001", [2]string{"03", "00"})
	b.plug("1-2", strings.Repeat("2c97", maxAttribute), "5011", "0001", [2]string{"03", "00"})
	found, err := newScanner(b.root).find(any16)
	require.NoError(t, err)
	require.Len(t, found, 1, "the root hub only")
}

func TestAccess(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may open everything: the laboratory's machine tests this with another user.
		require.NoError(t, access(Info{}, os.DevNull))
	}
	err := access(Info{}, filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, ErrGone)
}

// TestAFilterOfDevices: EPERM is no matter of a udev rule, as EACCES is.
func TestAFilterOfDevices(t *testing.T) {
	ledger := Info{Vendor: 0x2c97}
	hint := HintText(judgeAccess(ledger, os.DevNull, syscall.EPERM))
	require.Contains(t, hint, "DeviceAllow=")
	require.NotContains(t, hint, "udevadm")
	require.Contains(t, HintText(judgeAccess(ledger, os.DevNull, syscall.EACCES)), "udevadm")
	require.NoError(t, judgeAccess(ledger, os.DevNull, syscall.ENXIO), "it was let through")
}

// The hint names a file that exists, and the rule in it is for the vendor and gives the device to the group.
func TestRuleHint(t *testing.T) {
	for vendor, file := range rules {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "udev", file))
		require.NoError(t, err)
		require.Contains(t, string(text), fmt.Sprintf(`ATTR{idVendor}=="%04x"`, vendor))
		require.Contains(t, string(text), `GROUP="`+Group+`"`)
		node := filepath.Join(t.TempDir(), "node")
		require.NoError(t, os.WriteFile(node, nil, 0o600))
		require.Contains(t, accessHint(vendor, node), "deploy/udev/"+file)
		if os.Getuid() == 0 {
			require.NoError(t, os.Chmod(node, 0o660))
			require.NoError(t, os.Chown(node, 0, 54321))
			require.Contains(t, accessHint(vendor, node), "usermod -aG 54321")
		}
	}
	require.NotContains(t, accessHint(0x1234, "/absent"), "deploy/udev")
}

func TestHintText(t *testing.T) {
	require.Empty(t, HintText(nil))
	require.Empty(t, HintText(ErrGone))
	require.Equal(t, "do", HintText(fmt.Errorf("open: %w", errors.Join(&AccessError{Hint: "do"}, ErrGone))))
}

func TestSurvey(t *testing.T) {
	b := newBus(t)
	b.plug("1-1", "2c97", "5011", "0001", [2]string{"03", "00"})
	s := newScanner(b.root)
	nodes, proc := t.TempDir(), t.TempDir()
	out, err := survey(s, nodes, proc, ledgers)
	require.NoError(t, err)
	if !Available {
		require.ErrorIs(t, out[0].Err, ErrNoUSB)
		out = out[1:]
	}
	require.Len(t, out, 1)
	require.ErrorIs(t, out[0].Err, ErrGone)
	require.Contains(t, out[0].Hint, "container")

	node := filepath.Join(nodes, "001", fmt.Sprintf("%03d", out[0].Address))
	require.NoError(t, os.MkdirAll(filepath.Dir(node), 0o755))
	require.NoError(t, os.WriteFile(node, nil, 0o600))
	fds := filepath.Join(proc, "812", "fd")
	require.NoError(t, os.MkdirAll(fds, 0o755))
	require.NoError(t, os.Symlink(node, filepath.Join(fds, "7")))
	require.NoError(t, os.Symlink(node, filepath.Join(fds, "8")))
	require.NoError(t, os.WriteFile(filepath.Join(proc, "812", "comm"), []byte("octez-signer\n"), 0o600))
	out, err = survey(s, nodes, proc, ledgers)
	require.NoError(t, err)
	last := out[len(out)-1]
	require.NoError(t, last.Err)
	require.Equal(t, []string{"octez-signer (pid 812)"}, last.Holders)

	out, err = survey(newScanner(filepath.Join(b.root, "absent")), nodes, proc, ledgers)
	require.NoError(t, err)
	require.Len(t, out, 1)
	require.Error(t, out[0].Err)
	require.NotEmpty(t, out[0].Hint)
}

func TestFirstUsage(t *testing.T) {
	for _, c := range []struct {
		report      string
		page, usage uint16
	}{
		{appReport, 0xffa0, 1},
		{"\x05\x01\x09\x06\xa1\x01", 1, 6},
		{"\x06\xd0\xf1\x09\x01\xa1\x01", 0xf1d0, 1},
		{"\x0b\x01\x00\xd0\xf1", 0xf1d0, 1},
		{"\x15\x00\x05\x01\x09\x06", 1, 6},
		{"", 0, 0},
		{"\x06\xa0", 0, 0},
		{"\xfe\x01\x00\x00\x05\x01\x09\x06", 0, 0},
		{"\x05\x01", 0, 0},
	} {
		page, usage := FirstUsage([]byte(c.report))
		require.Equal(t, c.page, page, "%x", c.report)
		require.Equal(t, c.usage, usage, "%x", c.report)
	}
}

func FuzzFirstUsage(f *testing.F) {
	f.Add([]byte(appReport))
	f.Add([]byte("\xfe\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		page, usage := FirstUsage(b)
		longer, again := FirstUsage(append(append([]byte{}, b...), 0xc0))
		if usage != 0 { // what was found does not depend on what follows
			require.Equal(t, page, longer)
			require.Equal(t, usage, again)
		}
	})
}
