//go:build linux

// Package gadget makes emulated devices appear on the kernel's software USB bus: a gadget in configfs with one
// FunctionFS function, served by the importing program. The package is for the laboratory's virtual machine, and needs
// root.
package gadget

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	configfs = "/sys/kernel/config/usb_gadget"
	udcs     = "/sys/class/udc"
	mounts   = "/dev/ffs"
)

// Description is the identity of a gadget.
type Description struct {
	Name                          string // in configfs
	Vendor, Product, Release      uint16
	Serial, Manufacturer, Caption string
}

// Gadget is a gadget in configfs. A new gadget is unplugged.
type Gadget struct {
	dir string

	mu  sync.Mutex
	udc string
}

// FunctionDir is where the FunctionFS of the gadget with a name is mounted.
func FunctionDir(name string) string { return filepath.Join(mounts, name) }

// New describes a gadget in configfs and mounts its FunctionFS.
func New(d Description) (*Gadget, error) {
	g := &Gadget{dir: filepath.Join(configfs, d.Name)}
	function := filepath.Join(g.dir, "functions", "ffs."+d.Name)
	config := filepath.Join(g.dir, "configs", "c.1")
	for _, dir := range []string{g.dir, filepath.Join(g.dir, "strings", "0x409"), config, function, FunctionDir(d.Name)} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as the kernel wants it
			return nil, err
		}
	}
	files := [][2]string{
		{"idVendor", hex(d.Vendor)},
		{"idProduct", hex(d.Product)},
		{"bcdDevice", hex(d.Release)},
		{"bcdUSB", "0x0200"},
		{"strings/0x409/serialnumber", d.Serial},
		{"strings/0x409/manufacturer", d.Manufacturer},
		{"strings/0x409/product", d.Caption},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(g.dir, f[0]), []byte(f[1]), 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.Symlink(function, filepath.Join(config, "ffs."+d.Name)); err != nil {
		return nil, err
	}
	return g, unix.Mount(d.Name, FunctionDir(d.Name), "functionfs", 0, "")
}

func hex(v uint16) string { return fmt.Sprintf("0x%04x", v) }

// ErrNoPort is returned when something is plugged in at every port.
var ErrNoPort = errors.New("no port is free")

// Plug plugs the gadget in at a controller, or at any free controller without a name. Plug gives the controller's name.
func (g *Gadget) Plug(udc string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if udc != "" {
		return udc, g.bind(udc)
	}
	all, err := os.ReadDir(udcs)
	if err != nil {
		return "", err
	}
	err = ErrNoPort
	for _, e := range all {
		state, rerr := os.ReadFile(filepath.Join(udcs, e.Name(), "function"))
		if rerr == nil && strings.TrimSpace(string(state)) != "" {
			continue
		}
		if err = g.bind(e.Name()); err == nil {
			return e.Name(), nil
		}
	}
	return "", err
}

func (g *Gadget) bind(udc string) error {
	if err := os.WriteFile(filepath.Join(g.dir, "UDC"), []byte(udc), 0o600); err != nil {
		return err
	}
	g.udc = udc
	return nil
}

// Unplug pulls the cable. An unplugged gadget is no error.
func (g *Gadget) Unplug() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.udc == "" {
		return nil
	}
	g.udc = ""
	return os.WriteFile(filepath.Join(g.dir, "UDC"), []byte("\n"), 0o600)
}
