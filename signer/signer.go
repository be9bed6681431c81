// Package signer decides and signs. Sign is the only way to a signature: no signature leaves the process before the mark that
// forbids its repetition is durable, and a missing, unreadable or unwritable mark means refusal.
package signer

import (
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
	Hold    bool
	Observe func(Outcome)        // told of every decision; may be nil
	Changed func(hwm.RoleRecord) // told of every change of role, and of Resume; may be nil; it must not wait
	Now     func() time.Time     // may be nil
}

// Signer answers requests. It is safe for concurrent use. Run must be running for devices to be noticed.
type Signer struct {
	chain   tezos.ChainID
	store   Store
	devices []Device
	ring    *ring
	gate    *gate
	log     *slog.Logger
	observe func(Outcome)
	now     func() time.Time
	changed func(hwm.RoleRecord)
	roleMu  sync.Mutex  // one change of role at a time
	capped  atomic.Bool // the epoch is another owner's: every key needs a ceiling
	changes *broadcast  // a device changed, or the ring
	tails   sync.WaitGroup
}

// New makes a signer. It signs once its role is active: at once, if the store says so and Hold does not.
func New(cfg Config) *Signer {
	s := &Signer{
		chain: cfg.Chain, store: cfg.Store, devices: cfg.Devices, log: cfg.Log, observe: cfg.Observe, now: cfg.Now,
		changed: cfg.Changed,
		gate:    newGate(), changes: newBroadcast(),
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
	s.ring = newRing(cfg.Keys, cfg.Store.KnownKeys())
	if s.changed == nil {
		s.changed = func(hwm.RoleRecord) {}
	}
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
	out.request(req)
	if err = s.allow(key, req); err != nil { // another chain, a kind that this key may not sign: refuse
		return tezos.Signature{}, err
	}
	pass, err := s.gate.enter(s.store.Role) // not active: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	defer pass.leave()
	unlock, err := key.lock(ctx, req.Kind) // one request at a time for a chain, key and kind
	if err != nil {
		return tezos.Signature{}, err
	}

	type answer struct {
		sig tezos.Signature
		err error
	}
	answers := make(chan answer, 1)
	pass.hold()
	s.tails.Go(func() { // goes on to its end when ctx does not: half an exchange would confuse the device
		defer pass.leave()
		defer unlock()
		sig, err := s.decideAndSign(ctx, key, req, payload, out)
		answers <- answer{sig, err}
	})
	select {
	case a := <-answers:
		if a.err == nil {
			a.err = pass.check() // fenced meanwhile: it does not leave
		}
		if a.err != nil {
			return tezos.Signature{}, a.err
		}
		return a.sig, nil
	case <-ctx.Done():
		return tezos.Signature{}, s.late(ctx, key)
	}
}

// decideAndSign decides, moves the mark, asks the device while the mark goes to disk, and verifies. The caller holds the lock
// of the chain, key and kind.
//
// Invariant: a signature is returned only when the mark for it is durable.
func (s *Signer) decideAndSign(
	ctx context.Context, key *ringKey, req tezos.Request, payload []byte, out *outcome,
) (tezos.Signature, error) {
	if sig, settled, err := s.settle(key, req, out); settled {
		return sig, err // a replay or a refusal needs no device
	}
	turn, err := s.turn(ctx, key, req.Kind) // waiting costs no mark
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.end()

	d, err := s.decide(key, req) // again: an operator may have raised the mark meanwhile
	if err != nil {
		return tezos.Signature{}, err
	}
	var durable hwm.Pending = alreadyDurable{}
	switch d.Verdict {
	case hwm.Advance: // in memory now, on disk while the device works
		if durable, err = s.store.Advance(key.mark(s.chain, req.Kind), hwm.MarkFor(req, s.now())); err != nil {
			return tezos.Signature{}, err
		}
	case hwm.Resume:
	case hwm.Replay, hwm.Refuse, hwm.Undecided:
		sig, _, err := s.settle(key, req, out)
		return sig, err
	}
	out.decision(d.Verdict)

	sig, deviceErr := s.ask(ctx, key, turn, req.Kind, payload, out)
	if err := out.timeCommit(durable.Wait); err != nil { // not durable: nothing leaves
		return tezos.Signature{}, err
	}
	if deviceErr != nil {
		return tezos.Signature{}, deviceErr
	}
	if err := key.public().Verify(payload, sig); err != nil {
		return tezos.Signature{}, &WrongSignatureError{PKH: key.pkh, Device: turn.name(), Err: err}
	}
	s.store.Keep(key.mark(s.chain, req.Kind), req.Digest, sig)
	return sig, nil
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
	if err := s.uncapped(state); err != nil {
		return hwm.Decision{}, err
	}
	d := hwm.Decide(state, key.pkh.Curve, req)
	if d.Verdict == hwm.Refuse || d.Verdict == hwm.Undecided {
		return d, hwm.NewRefusal(mark, state, req, d)
	}
	return d, nil
}

// settle answers what needs no device: a refusal, or the signature that is kept.
func (s *Signer) settle(key *ringKey, req tezos.Request, out *outcome) (sig tezos.Signature, settled bool, err error) {
	d, err := s.decide(key, req)
	if err != nil {
		return tezos.Signature{}, true, err
	}
	if d.Verdict == hwm.Replay {
		out.decision(d.Verdict)
		return d.Mark.Signature, true, nil
	}
	return tezos.Signature{}, false, nil
}

// late explains a budget that ran out.
func (s *Signer) late(ctx context.Context, key *ringKey) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &TimeoutError{PKH: key.pkh, Gone: true}
	}
	return &TimeoutError{PKH: key.pkh}
}

// Run watches the devices until ctx ends, then waits for the exchanges under way.
func (s *Signer) Run(ctx context.Context) {
	var watchers sync.WaitGroup
	for _, d := range s.devices {
		watchers.Go(func() { s.watch(ctx, d) })
	}
	watchers.Wait()
	s.gate.end()
	s.tails.Wait()
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
