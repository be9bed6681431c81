package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// newDrivers makes the drivers of the configured devices; none is connected yet.
func newDrivers(cfg *config, log *slog.Logger) ([]driver, error) {
	out := make([]driver, 0, len(cfg.Devices))
	for _, d := range cfg.Devices {
		made, err := newDriver(cfg, d, log)
		if err != nil {
			return nil, fmt.Errorf("device %q: %w", d.Name, err)
		}
		out = append(out, made)
	}
	return out, nil
}

var errNoUSB = errors.New("this build has no USB transport yet")

func newDriver(cfg *config, d deviceConfig, log *slog.Logger) (driver, error) {
	switch d.Kind {
	case kindLedger:
		return newLedger(cfg, d, log)
	default:
		return nil, hinted(errNoUSB, "")
	}
}

func newLedger(cfg *config, d deviceConfig, log *slog.Logger) (driver, error) {
	c := ledger.Config{Name: d.Name, ID: d.ID, Chain: cfg.chainID, Log: log}
	switch {
	case d.Transport == transportSim:
		sim, err := newLedgerSim(cfg, d)
		if err != nil {
			return nil, err
		}
		c.Dial = sim.Dial
	case strings.HasPrefix(d.Transport, tcpScheme):
		address := strings.TrimPrefix(d.Transport, tcpScheme)
		c.Dial = func(ctx context.Context) (ledger.Transport, error) { return ledger.DialTCP(ctx, address) }
	default:
		return nil, hinted(errNoUSB, "use transport = \"tcp://HOST:PORT\" or \"sim\"")
	}
	return ledger.New(c)
}

// newLedgerSim makes an emulated Ledger that was set up for our chain at level 0, with one key for each curve.
func newLedgerSim(cfg *config, d deviceConfig) (*ledgersim.Device, error) {
	sim := simConfig{}
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
		opt.Setup = append(opt.Setup, ledgersim.Setup{Curve: curve, Chain: cfg.chainID})
	}
	return ledgersim.New(opt)
}
