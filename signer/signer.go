// Package signer decides and signs. Sign is the only way to a signature: no signature leaves the process before a record on disk
// forbids its repetition, and a missing, unreadable or unwritable mark means refusal.
package signer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Config is what a signer is made of.
type Config struct {
	Chain   tezos.ChainID // the only chain that is signed for
	Store   Store
	Devices []Device
	Keys    []KeyPolicy // empty: every key that the devices offer, for all kinds
	Log     *slog.Logger
	// Hold keeps requests out at the start although the durable role is active: there is another instance, and it must be asked
	// first. Resume lets them in.
	Hold bool
	// Awake is called before a signature leaves. It may take its time after this process stood still: then the other instance is asked
	// first, whose answer may end signing here. May be nil.
	Awake   func(ctx context.Context)
	Observe func(Outcome)        // told of every decision; may be nil
	Changed func(hwm.RoleRecord) // told of every change of role, and of Resume; may be nil; it must not wait
	Alarmed func(Alarm)          // told of every new alarm; may be nil; it must not wait
	// Head is the newest head of the node that is known, nil when none is; it must not wait. May be nil.
	Head func() *hwm.Known
	Now  func() time.Time // may be nil
}

// Signer answers requests. It is safe for concurrent use. Run must be running for devices to be noticed.
type Signer struct {
	chain   tezos.ChainID
	store   Store
	devices []Device
	ring    *ring
	gate    *gate
	roleMu  sync.Mutex // one change of role at a time, so that gate and record agree
	unsaid  []func()   // lines of the change of role, written once roleMu is free
	log     *slog.Logger
	refused refusals
	awake   func(context.Context)
	observe func(Outcome)
	now     func() time.Time
	changed func(hwm.RoleRecord)
	alarmed func(Alarm)
	head    func() *hwm.Known
	strange strangers   // devices whose marks are not believed
	capped  atomic.Bool // the epoch is another owner's: every key needs a ceiling
	changes *broadcast  // a device changed, or the ring
	alarms  alarms
	with    signedWith // which device made the last signature of each key and kind
	tails   sync.WaitGroup
}

// New makes a signer. It signs once its role is active: at once, if the store says so and Hold does not.
func New(cfg Config) *Signer {
	s := &Signer{
		chain: cfg.Chain, store: cfg.Store, devices: cfg.Devices, log: cfg.Log, observe: cfg.Observe, now: cfg.Now,
		changed: cfg.Changed, alarmed: cfg.Alarmed, awake: cfg.Awake, head: cfg.Head,
		gate: newGate(cfg.Store.Instance()), changes: newBroadcast(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.observe == nil {
		s.observe = func(Outcome) {}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.awake == nil {
		s.awake = func(context.Context) {}
	}
	if s.head == nil {
		s.head = func() *hwm.Known { return nil }
	}
	s.ring = newRing(cfg.Keys, cfg.Store.KnownKeys())
	if s.changed == nil {
		s.changed = func(hwm.RoleRecord) {}
	}
	if s.alarmed == nil {
		s.alarmed = func(Alarm) {}
	}
	s.recall()
	s.with.recall(cfg.Store.SignedWith())
	if r := s.store.Role(); r.Role == hwm.Active && r.Owner == s.store.Instance() && !cfg.Hold {
		s.gate.open()
	}
	return s
}

// Chain is the chain that is signed for.
func (s *Signer) Chain() tezos.ChainID { return s.chain }
