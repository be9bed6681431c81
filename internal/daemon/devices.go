package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// wired is a driver with a resource to close after the driver's end.
type wired struct {
	driver
	close func() error
}

// newDrivers makes the drivers of the configured devices, all at once; none is connected yet.
func newDrivers(cfg *config.Config, bus *usb.Bus, log *slog.Logger) ([]wired, error) {
	out, faults := make([]wired, len(cfg.Devices)), make([]error, len(cfg.Devices))
	var all sync.WaitGroup
	for i, d := range cfg.Devices {
		all.Go(func() { out[i], faults[i] = newDriver(cfg, d, bus, log) })
	}
	all.Wait()
	for i, err := range faults {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("device %q: %w", cfg.Devices[i].Name, err), closeMade(out, faults))
		}
	}
	return out, nil
}

// closeMade closes the drivers that were made without a fault.
func closeMade(made []wired, faults []error) (err error) {
	for i, w := range made {
		if faults[i] == nil {
			err = errors.Join(err, w.close())
		}
	}
	return err
}

func newDriver(cfg *config.Config, d config.Device, bus *usb.Bus, log *slog.Logger) (wired, error) {
	if d.Transport == config.TransportUSB && !usb.Available {
		return wired{}, hints.Add(usb.ErrNoUSB, "build with CGO_ENABLED=1, or set another transport")
	}
	if d.Kind == config.KindLedger {
		l, err := newLedger(cfg, d, bus, log)
		return wired{l, func() error { return nil }}, err
	}
	return newTezSign(cfg, d, bus, log)
}

func newTezSign(cfg *config.Config, d config.Device, bus *usb.Bus, log *slog.Logger) (wired, error) {
	c := tezsign.Config{Name: d.Name, Serial: d.Serial, Chain: cfg.ChainID, Passphrase: passphraseOf(d), Log: log}
	done := func() error { return nil }
	switch d.Transport {
	case config.TransportSim:
		sim, err := newTezSignSim(d)
		if err != nil {
			return wired{}, err
		}
		c.Open, done = sim.Open, sim.Close
	default:
		c.Open = tezsign.OpenUSB(bus)
	}
	return wired{tezsign.New(c), done}, nil
}

// passphraseOf is the source of a TezSign's passphrase; nil: an operator unlocks.
func passphraseOf(d config.Device) tezsign.PassphraseSource {
	switch {
	case d.PassphraseFile != "":
		return tezsign.FromFile(d.PassphraseFile)
	case d.PassphraseCredential != "":
		return tezsign.FromCredential(d.PassphraseCredential)
	}
	return nil
}

// newTezSignSim makes an emulated TezSign with unlocked keys.
func newTezSignSim(d config.Device) (*tezsignsim.Gadget, error) {
	sim := config.Sim{}
	if d.Sim != nil {
		sim = *d.Sim
	}
	if len(sim.Keys) == 0 {
		sim.Keys = []string{"consensus", "companion"}
	}
	if sim.Seed == "" {
		sim.Seed = d.Name
	}
	return tezsignsim.New(tezsignsim.Options{
		Serial: d.Serial, Seed: sim.Seed, Keys: sim.Keys, Latency: time.Duration(sim.Latency), Forgetful: true,
	})
}

func newLedger(cfg *config.Config, d config.Device, bus *usb.Bus, log *slog.Logger) (*ledger.Device, error) {
	c := ledger.Config{
		Probe: probeEvery(len(cfg.Devices)), Name: d.Name, ID: d.ID, Chain: cfg.ChainID,
		Want: d.Locators, AllowOperations: cfg.AllowsOperations(), Log: log,
	}
	switch {
	case d.Transport == config.TransportSim:
		sim, err := newLedgerSim(cfg, d)
		if err != nil {
			return nil, err
		}
		c.Dial = sim.Dial
	case strings.HasPrefix(d.Transport, config.TCPScheme):
		address := strings.TrimPrefix(d.Transport, config.TCPScheme)
		c.Dial = func(ctx context.Context) (ledger.Transport, error) { return ledger.DialTCP(ctx, address) }
	default:
		c.Dial = ledger.DialUSB(bus)
	}
	return ledger.New(c)
}

// probeEvery is the time between two questions to an idle Ledger. Hundreds of devices are asked less often, so that
// thousands at rest do not take a core.
func probeEvery(devices int) time.Duration {
	return max(ledger.DefaultProbe, time.Duration(devices)*2*time.Millisecond)
}

// newLedgerSim makes an emulated Ledger, set up for our chain at level 0, with a key for each curve.
func newLedgerSim(cfg *config.Config, d config.Device) (*ledgersim.Device, error) {
	sim := config.Sim{}
	if d.Sim != nil {
		sim = *d.Sim
	}
	if sim.Seed == "" {
		sim.Seed = d.Name
	}
	if len(sim.Curves) == 0 {
		sim.Curves = []string{"ed25519"}
	}
	opt := ledgersim.Options{
		Seed: sim.Seed, Latency: ledgersim.Uniform(time.Duration(sim.Latency)), Decide: ledgersim.Always(ledgersim.Accept),
	}
	for _, text := range sim.Curves {
		curve, err := ledger.ParseCurve(text)
		if err != nil {
			return nil, err
		}
		opt.Setup = append(opt.Setup, ledgersim.Setup{Curve: curve, Chain: cfg.ChainID})
	}
	return ledgersim.New(opt)
}
