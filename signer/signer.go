// Package signer decides and signs. Sign is the only way to a signature: no signature leaves the process before a record on disk
// forbids its repetition, and a missing, unreadable or unwritable mark means refusal.
package signer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
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

// Sign gives the signature of payload (watermark byte first, as octez sends it) under the key pkh, or says why not: a *Denial,
// a *tezos.PayloadError, a *hwm.Refusal, or what broke.
//
// The same bytes asked again get the signature that was made. ctx bounds the waiting, and carries the request's budget; once the
// device is asked the exchange is finished in any case, and a signature that comes too late is kept for the next time.
func (s *Signer) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (sig tezos.Signature, err error) {
	out := s.begin(ctx, pkh)
	defer func() { s.end(out, err) }()

	key, err := s.ring.find(pkh) // unknown: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	if tezos.IsRegistration(payload) { // no place in the chain, no mark: for allowed keys on standby only
		return s.register(ctx, key, payload, out)
	}
	req, err := tezos.Decode(pkh.Curve, payload) // odd: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	out.decoded(req)
	if err = s.allow(key, req); err != nil { // another chain, a kind that this key may not sign: refuse
		return tezos.Signature{}, err
	}
	pass, err := s.gate.enter(s.store.Role) // not active: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	defer pass.leave()
	unlock, err := key.lock(ctx, req.Kind, out) // one request at a time for a chain, key and kind
	if err != nil {
		return tezos.Signature{}, err
	}

	type answer struct {
		sig tezos.Signature
		err error
	}
	answers := make(chan answer, 1)
	payload = bytes.Clone(payload) // the caller may go, and use its bytes for something else
	pass.hold()
	s.tails.Go(func() { // goes on to its end when ctx does not: half an exchange would confuse the device
		defer pass.leave()
		defer unlock()
		sig, err := s.decideAndSign(ctx, pass, key, req, payload, out)
		answers <- answer{sig, err}
	})
	select {
	case a := <-answers:
		if a.err == nil {
			s.awake(ctx)         // after a standstill the other instance may have taken over
			a.err = pass.check() // fenced meanwhile: it does not leave
		}
		if a.err != nil {
			return tezos.Signature{}, a.err
		}
		return a.sig, nil
	case <-ctx.Done():
		return tezos.Signature{}, s.late(ctx, key, req.Kind, out)
	}
}

// decideAndSign decides, moves the mark, and while the mark goes to disk asks the device and verifies what it gave. The caller holds
// the lock of the chain, key and kind.
//
// Invariant: a signature is returned only when a record on disk forbids its repetition (its mark, or a horizon), and it verifies.
func (s *Signer) decideAndSign(
	ctx context.Context, pass *pass, key *ringKey, req tezos.Request, payload []byte, out *outcome,
) (tezos.Signature, error) {
	d, err := s.decide(key, req)
	if err != nil {
		return tezos.Signature{}, err
	}
	if d.Verdict == hwm.Replay { // needs no device
		return s.replay(key, d.Mark, payload, out)
	}
	turn, err := s.turn(ctx, key, req.Kind) // waiting costs no mark
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.end()

	if ctx.Err() != nil {
		return tezos.Signature{}, s.late(ctx, key, req.Kind, out)
	}
	d, err = s.decide(key, req) // again: an operator may have raised the mark meanwhile
	if err != nil {
		return tezos.Signature{}, err
	}
	if d.Verdict == hwm.Replay {
		return s.replay(key, d.Mark, payload, out)
	}
	if c, ok := turn.turn.(device.Checker); ok {
		if err = c.Check(key.pkh, payload); err != nil { // the device would not be asked: no mark is spent
			return tezos.Signature{}, err
		}
	}
	var durable hwm.Pending = alreadyDurable{}
	err = pass.do(func() (err error) { // whoever ended this instance's epoch has seen the last mark move
		if d.Verdict != hwm.Advance {
			return nil
		}
		if err = s.stillUncapped(key.mark(s.chain, req.Kind)); err != nil {
			return err
		}
		// in memory now, on disk while the device works
		durable, err = s.store.Advance(key.mark(s.chain, req.Kind), hwm.MarkFor(req, s.now()))
		return err
	})
	if err != nil {
		return tezos.Signature{}, err
	}
	out.decision(d.Verdict)

	sig, err := s.ask(ctx, key, turn, req.Kind, payload, out)
	if err == nil {
		err = verify(key, turn, payload, sig) // the disk still works
	}
	if notDurable := out.timeCommit(durable.Wait); notDurable != nil { // nothing leaves
		return tezos.Signature{}, notDurable
	}
	if err != nil {
		return tezos.Signature{}, err
	}
	s.noteSigned(key, turn.name(), req)
	s.store.Keep(key.mark(s.chain, req.Kind), req.Digest, sig)
	return sig, nil
}

// verify checks what a device gave, over exactly the requested bytes.
func verify(key *ringKey, turn *heldTurn, payload []byte, sig tezos.Signature) error {
	if err := key.public().Verify(payload, sig); err != nil {
		return wrongSignature(key, turn.name(), payload, sig, err)
	}
	return nil
}

// alreadyDurable is the mark of a resumed request: it was made durable, or the store was poisoned, before the lock was free.
type alreadyDurable struct{}

func (alreadyDurable) Wait() error { return nil }

// decide looks the request's mark up and applies the rule.
func (s *Signer) decide(key *ringKey, req tezos.Request) (hwm.Decision, error) {
	mark := key.mark(s.chain, req.Kind)
	state, err := s.store.State(mark)
	if err != nil {
		return hwm.Decision{}, err
	}
	if err = s.uncapped(state); err != nil {
		return hwm.Decision{}, err
	}
	if state.Limit, err = s.limitFor(mark, state, req.Level); err != nil {
		return hwm.Decision{}, err
	}
	d := hwm.Decide(state, key.pkh.Curve, req)
	if d.Verdict == hwm.Refuse || d.Verdict == hwm.Undecided {
		return d, hwm.NewRefusal(mark, state, req, d)
	}
	return d, nil
}

// replay gives the signature that is kept, once more verified: what a store holds may come from elsewhere.
func (s *Signer) replay(key *ringKey, mark hwm.Mark, payload []byte, out *outcome) (tezos.Signature, error) {
	if err := key.public().Verify(payload, mark.Signature); err != nil {
		return tezos.Signature{}, &WrongSignatureError{PKH: key.pkh, Device: "store", Err: err}
	}
	out.decision(hwm.Replay)
	return mark.Signature, nil
}

// late explains a budget that ran out by where it was spent: in the sync of the disk, at a device that answers nobody, or in its queue.
func (s *Signer) late(ctx context.Context, key *ringKey, kind tezos.Kind, out *outcome) error {
	stage, device := out.where()
	e := &TimeoutError{PKH: key.pkh, Gone: errors.Is(ctx.Err(), context.Canceled), Stage: stage, Device: device}
	if e.Gone || stage == StageDisk {
		return e
	}
	if candidates := s.candidates(key); s.firstUsable(candidates, key.pkh, kind) == nil {
		return s.unavailable(key, candidates, kind)
	}
	return e
}

// Run watches the devices until ctx ends, then waits for the exchanges under way.
func (s *Signer) Run(ctx context.Context) {
	var watchers sync.WaitGroup
	for _, d := range s.devices {
		watchers.Go(func() { s.watch(ctx, d) })
	}
	watchers.Wait()
	s.gate.end()
	s.gate.drain(context.Background()) // then nobody starts another exchange
	s.tails.Wait()
	s.keepSigned()
}

// watch learns the keys of a device at each of its changes, and tells those who wait for one.
func (s *Signer) watch(ctx context.Context, d Device) {
	for {
		changed := d.Changed()
		s.learn(d)
		s.changes.send()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Learn makes the keys of all ready devices known now, for who does not want to wait until Run has noticed them.
func (s *Signer) Learn() {
	for _, d := range s.devices {
		s.learn(d)
	}
}

func (s *Signer) learn(d Device) {
	if d.Status().Health == device.Ready {
		s.ring.learn(d, s.store, s.log)
	}
}
