package ledger

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Config says which Ledger to drive, and how to reach the device.
type Config struct {
	// Name is the device's name in the configuration.
	Name string
	// ID pins the device: the four words that octez prints, or the address (tz1…) of its root key. Empty: any Ledger.
	ID string
	// Dial connects. The driver calls Dial at each attempt, at most four times a second.
	Dial func(ctx context.Context) (Transport, error)
	// Chain is the chain of the payloads. Chain decides which of the device's two marks is compared with the host's.
	Chain tezos.ChainID
	// Want lists the keys that must be authorised, as octez's locators name them. Empty: any authorised key will do.
	Want []Locator
	// AllowOperations lets reveals and self-delegations (0x03) through. A reveal resets the round of the device's own
	// mark: set AllowOperations only to register a baker.
	AllowOperations bool
	// Reconciler compares marks at each connection; nil: no comparison. See also SetReconciler.
	Reconciler device.Reconciler
	Log        *slog.Logger // nil: none
	// Timeout bounds an exchange without a prompt; 0: DefaultTimeout.
	Timeout time.Duration
	// Tick is the time between two looks for an absent device, Probe between two questions to an idle device; 0: the
	// defaults.
	Tick, Probe time.Duration
}

// DefaultTimeout bounds an exchange without a prompt. The slowest signature takes 0.9 s (Nano S).
const DefaultTimeout = 5 * time.Second

// Defaults of Config.Tick and Config.Probe. A change of the device's state shows within a second.
const (
	DefaultTick  = 250 * time.Millisecond
	DefaultProbe = 500 * time.Millisecond
)

func (c *Config) complete() error {
	if c.Dial == nil {
		return errors.New("a Ledger without a way to reach it")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Tick == 0 {
		c.Tick = DefaultTick
	}
	if c.Probe == 0 {
		c.Probe = DefaultProbe
	}
	return nil
}
