// Package signer decides and signs. Sign is the only way to a signature: no signature leaves the process before a
// record on disk forbids its repetition, and a missing, unreadable or unwritable mark means refusal.
package signer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/broadcast"
	"highwater/internal/heldlog"
	"highwater/internal/tezos"
	"highwater/signer/alarms"
	"highwater/signer/gate"
	"highwater/signer/keyring"
	"highwater/signer/outcome"
	"highwater/signer/ownmarks"
)

// Config is the parts of a signer.
type Config struct {
	Chain   tezos.ChainID // the only chain to sign for
	Store   Store
	Devices []Device
	Keys    []KeyPolicy // empty: every key that the devices offer, for all kinds
	Log     *slog.Logger
	// Lines holds back lines of roles and alarms, for a caller with a lock of its own in hand. Nil: the signer's own.
	Lines *heldlog.Lines
	// Hold keeps requests out at the start although the durable role is active: another instance exists, and must be
	// asked first. Resume lets requests in.
	Hold bool
	// Awake is called before a signature leaves, and may take its time after this process stood still: the other
	// instance is asked, and its answer may end signing here. May be nil.
	Awake   func(ctx context.Context)
	Right   Right                // nil: the role alone decides
	Observe func(Outcome)        // told of every decision; may be nil
	Changed func(hwm.RoleRecord) // told of every change of role, and of Resume; may be nil; must not wait
	Alarmed func(hwm.Alarm)      // told of every new alarm; may be nil; must not wait
	// Head is the node's newest known head, nil when none is known; must not wait. May be nil.
	Head func() *hwm.Known
	Now  func() time.Time // may be nil
}

// Signer answers requests. A Signer is safe for concurrent use. Without Run no device is noticed.
type Signer struct {
	chain   tezos.ChainID
	store   Store
	devices []Device
	ring    *keyring.Ring
	gate    *gate.Gate
	roleMu  sync.Mutex // a single change of role at a time: gate and record agree
	lines   *heldlog.Lines
	log     *slog.Logger // of requests and devices
	held    *slog.Logger // of roles and alarms: its lines wait while roleMu, or a caller, holds them
	awake   func(context.Context)
	book    outcome.Book // of requests
	now     func() time.Time
	changed func(hwm.RoleRecord)
	alarmed func(hwm.Alarm)
	head    func() *hwm.Known
	strange ownmarks.Strange   // devices with marks that are not believed
	right   Right              // nil: the role alone decides
	capped  atomic.Bool        // the epoch is another owner's: every key needs a ceiling
	changes *broadcast.Changes // a device changed, or the ring
	alarms  alarms.Standing
	signed  ownmarks.Signed // the device that made the last signature of each key and kind
	tails   sync.WaitGroup
}

// New makes a signer. The signer signs once its role is active: at once, if the store says so and Hold does not.
func New(cfg Config) *Signer {
	s := &Signer{
		chain: cfg.Chain, lines: cfg.Lines, store: cfg.Store, devices: cfg.Devices, log: cfg.Log, now: cfg.Now,
		changed: cfg.Changed, alarmed: cfg.Alarmed, awake: cfg.Awake, head: cfg.Head, right: cfg.Right,
		gate: gate.New(cfg.Store.Instance()), changes: broadcast.New(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.lines == nil {
		s.lines = &heldlog.Lines{}
	}
	s.held = s.lines.Logger(s.log)
	if s.now == nil {
		s.now = time.Now
	}
	if s.awake == nil {
		s.awake = func(context.Context) {}
	}
	if s.head == nil {
		s.head = func() *hwm.Known { return nil }
	}
	s.book.Log, s.book.Observe, s.book.Now = s.log, cfg.Observe, s.now
	if s.book.Observe == nil {
		s.book.Observe = func(Outcome) {}
	}
	s.ring = keyring.New(cfg.Keys, cfg.Store.KnownKeys())
	if s.changed == nil {
		s.changed = func(hwm.RoleRecord) {}
	}
	if s.alarmed == nil {
		s.alarmed = func(hwm.Alarm) {}
	}
	s.alarms.Recall(s.store.Alarms())
	s.signed.Recall(cfg.Store.SignedWith())
	if r := s.store.Role(); r.Role == hwm.Active && r.Owner == s.store.Instance() && !cfg.Hold {
		s.gate.Open()
	}
	return s
}

// Lines holds back the log's lines about roles and alarms, for a caller with a lock of its own in hand.
func (s *Signer) Lines() *heldlog.Lines { return s.lines }

// Chain is the only chain to sign for.
func (s *Signer) Chain() tezos.ChainID { return s.chain }
