package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Device is one Ledger, kept connected. Make a Device with New and start Run; all methods are safe for concurrent
// use.
type Device struct {
	cfg   Config
	owner *device.Owner[*session]

	// life ends with Run, and ends prompts without an answer.
	life   context.Context
	end    context.CancelFunc
	others sync.WaitGroup  // prompts, some without a caller
	people context.Context // ends when all callers that wait for a person at the device are sent away
	leave  context.CancelCauseFunc
	known  known     // guarded by the session: only its holder reads or changes known
	spare  Transport // connected to a device that is not ready; guarded by the session like known

	mu         sync.Mutex
	reconciler device.Reconciler
	keys       []device.Key
}

// New makes a device. Nothing happens before Run.
func New(cfg Config) (*Device, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	d := &Device{cfg: cfg, reconciler: cfg.Reconciler}
	d.life, d.end = context.WithCancel(context.Background())
	d.people, d.leave = context.WithCancelCause(d.life)
	d.owner = device.NewOwner(cfg.Name, driver{d}, cfg.Log)
	d.owner.SetTiming(cfg.Tick, cfg.Probe)
	return d, nil
}

// Name is the device's name in the configuration.
func (d *Device) Name() string { return d.cfg.Name }

// Kind is "ledger".
func (d *Device) Kind() string { return "ledger" }

// Status is the device's state now.
func (d *Device) Status() device.Status { return d.owner.Status() }

// Changed is closed at the next change of status. Take Changed before reading Status, and no change is missed.
func (d *Device) Changed() <-chan struct{} { return d.owner.Changed() }

// Poke makes the driver look at the device now: a hot-plug event came.
func (d *Device) Poke() { d.owner.Poke() }

// SetReconciler installs the reconciler of the next connection.
func (d *Device) SetReconciler(r device.Reconciler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reconciler = r
}

// Keys are the authorised keys, as of the last connection; none before the first. The slice is shared and must not be
// changed: the driver replaces the whole slice when the device is read again.
func (d *Device) Keys() []device.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys
}

// Run keeps the device connected until ctx ends. Run returns when no goroutine and no connection of the device is
// left.
func (d *Device) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, d.end)
	defer stop()
	d.owner.Run(ctx)
	d.end()
	d.others.Wait()
	d.hangUp(d.spare)
	d.spare = nil
}

// driver holds the owner's callbacks for a Ledger.
type driver struct{ d *Device }

// Open connects and identifies the device, reads its key and marks, and has the marks compared with the host's. When
// a device answers without being ready, the connection is kept for the next attempt: the device may stay locked for
// hours.
func (r driver) Open(ctx context.Context) (*session, error) {
	d := r.d
	t := d.spare
	d.spare = nil
	if t == nil {
		dial, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		defer cancel()
		var err error
		if t, err = d.cfg.Dial(dial); err != nil {
			return nil, d.named(dialError(err))
		}
	}
	s := &session{t: t, log: d.cfg.Log, limit: d.cfg.Timeout, slow: d.slow}
	err := d.prepare(ctx, s)
	switch {
	case err == nil:
		return s, nil
	case s.broken, s.foreign, !alone(t):
		d.hangUp(t)
	default:
		d.spare = t
	}
	return nil, d.named(err)
}

// slow shows an overdue answer in the status. The owner replaces the status when the answer comes.
func (d *Device) slow(c command) {
	d.owner.Update(func(st *device.Status) {
		st.Health, st.Advice, st.Detail = device.Busy, adviceBusy, "no answer to "+c.name+" yet"
		if c.derives() {
			st.Advice = adviceSlow
		}
	})
}

func (d *Device) hangUp(t Transport) {
	if t == nil {
		return
	}
	if err := t.Close(); err != nil {
		d.cfg.Log.Debug("ledger close", "error", err)
	}
}

// alone tells whether the transport's device is the only candidate.
func alone(t Transport) bool {
	one, ok := t.(oneOfMany)
	return !ok || one.Alone()
}

// dialError keeps the transport's own *Error. Any other error means an absent device.
func dialError(err error) error {
	var de *device.Error
	if errors.As(err, &de) {
		return err
	}
	return absent(err)
}

// absent is the error of a device that does not answer.
func absent(err error) error {
	return &device.Error{Health: device.Absent, Hint: advicePlug, Retry: true, Err: err}
}

// prepare makes a session ready to sign: a new session, or a session after a change of the device.
func (d *Device) prepare(ctx context.Context, s *session) error {
	s.alarm, s.notes = "", nil
	if err := s.identify(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	if err := d.recognise(ctx, s); err != nil {
		return err
	}
	if err := d.checkPin(s); err != nil {
		return err
	}
	if err := d.reconcile(ctx, s); err != nil {
		return err
	}
	d.note(s)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = d.describeKeys(s)
	return nil
}

// recognise finds the root key, which identifies the device. A known authorised key saves a slow device the
// derivation of its root key: a device with the authorised key has the same seed.
func (d *Device) recognise(ctx context.Context, s *session) error {
	for _, k := range s.keys {
		if d.known.is(k) {
			s.root = d.known.root
			return nil
		}
	}
	root, err := s.publicKey(ctx, Ed25519, Root)
	if err != nil {
		return err
	}
	s.root = root.Hash()
	if len(s.keys) > 0 {
		d.known = known{Authorized: s.keys[0].Authorized, key: s.keys[0].pub, root: s.root}
	}
	return nil
}

// known is a device's root and one of its authorised keys.
type known struct {
	Authorized
	key  *tezos.PublicKey
	root tezos.PublicKeyHash
}

// is tells whether an authorised key is the known key.
func (n known) is(k sessionKey) bool {
	return n.key != nil && n.same(k.Authorized) && n.key.String() == k.pub.String()
}

func (d *Device) checkPin(s *session) error {
	name := DeviceName(s.root)
	if d.cfg.ID == "" || d.cfg.ID == name || d.cfg.ID == s.root.String() {
		return nil
	}
	err := fmt.Errorf("another Ledger is connected: %s, not %s", name, d.cfg.ID)
	s.foreign = true
	if one, ok := s.t.(oneOfMany); ok {
		one.Reject(err)
	}
	return &device.Error{Health: device.Absent, Hint: adviceOtherID, Retry: true, Err: err}
}

func (d *Device) reconcile(ctx context.Context, s *session) error {
	d.mu.Lock()
	r := d.reconciler
	d.mu.Unlock()
	if r == nil || len(s.keys) == 0 {
		return nil
	}
	own := s.deviceMarks(d.cfg.Chain)
	err := s.tellSet(r, own)
	var raise []device.Mark
	var alarm string
	if err == nil {
		raise, alarm, err = r.Reconcile(ctx, DeviceName(s.root), own)
	}
	if err != nil {
		return &device.Error{
			Health: device.Broken, Retry: true, Hint: "the device is not used until its marks are recorded: look at the store",
			Err: fmt.Errorf("reconcile marks: %w", err),
		}
	}
	s.alarm = alarm
	s.allowed = raise
	for _, m := range raise {
		// A Ledger asks its user before its mark moves. The driver never raises the mark unattended.
		if slices.ContainsFunc(own, func(o device.Mark) bool { return o.PKH == m.PKH && o.Level < m.Level }) {
			s.notes = append(s.notes, fmt.Sprintf("the device's own mark for %s is behind the host's; raise the mark with %#q",
				m.PKH, d.resetAdvice(m.Level)))
		}
	}
	return nil
}

// tellSet tells the host about marks that the operator has just set on the device.
func (s *session) tellSet(r device.Reconciler, own []device.Mark) error {
	set, ok := r.(device.MarkSetter)
	if !ok || !s.byHand {
		return nil
	}
	if err := set.SetMarks(DeviceName(s.root), own); err != nil {
		return err
	}
	s.byHand = false
	return nil
}

// note collects notes for the operator about a device that is ready.
func (d *Device) note(s *session) {
	if !s.version.Known() {
		s.notes = append(s.notes, fmt.Sprintf("version %s of the app is not known here: 2.4 and 2.5 are", s.version))
	}
	if len(s.keys) == 0 {
		return
	}
	switch s.marks.Chain {
	case d.cfg.Chain:
	case tezos.ChainID{}:
		s.notes = append(s.notes, "the device was set up without a chain id: "+
			"a reveal resets the round of its mark; set it up anew: "+
			d.setupAdvice(s.keys[0].Authorized, int64(s.marks.Main.Level)))
	default:
		s.notes = append(s.notes, fmt.Sprintf("the device was set up for chain %s, "+
			"and our chain shares the mark of all other chains; set up our chain: %s",
			s.marks.Chain, d.setupAdvice(s.keys[0].Authorized, int64(s.marks.Test.Level))))
	}
}

func (d *Device) describeKeys(s *session) []device.Key {
	keys := make([]device.Key, 0, len(s.keys))
	for _, k := range s.keys {
		key := device.Key{PublicKey: k.pub, Alias: Locator{Device: DeviceName(s.root), Curve: k.Curve, Path: k.Path}.String()}
		switch {
		case k.Curve == BLS12381:
			key.Usable = reasonTZ4
		case !d.wanted(s, k):
			key.Usable = "the config does not name the key for this device"
		default:
			key.Kinds = slices.Clone(tezos.Kinds)
		}
		keys = append(keys, key)
	}
	return keys
}

// reasonTZ4 is why a BLS key on a Ledger is of no use today.
const reasonTZ4 = "a Ledger cannot sign as tz4: its app signs blocks in a scheme that Octez has dropped, " +
	"and cannot read the tz4 form of attestations"

// wanted tells whether the config asks for a key, or for none in particular.
func (d *Device) wanted(s *session, k sessionKey) bool {
	if len(d.cfg.Want) == 0 {
		return true
	}
	return slices.ContainsFunc(d.cfg.Want, func(l Locator) bool {
		return l.Curve == k.Curve && slices.Equal(l.Path, k.Path) &&
			(l.Device == "" || l.Device == DeviceName(s.root) || l.Device == s.root.String())
	})
}

// Probe asks whether an idle session still lives. After any error the owner opens the device anew.
func (r driver) Probe(ctx context.Context, s *session) error {
	err := r.d.named(s.stillThere(ctx))
	var de *device.Error
	if errors.As(err, &de) {
		de.Retry = true
	}
	return err
}

// Describe is the status of an open session.
func (r driver) Describe(s *session) device.Status {
	st := device.Status{
		Health: device.Ready, App: "Tezos Baking " + s.version.String(), Model: "Ledger",
		ID: DeviceName(s.root), Where: s.t.Where(),
		Alarm: s.alarm, Detail: strings.Join(s.notes, "; "),
	}
	if m, ok := s.t.(interface{ Model() string }); ok {
		st.Model = m.Model()
	}
	usable := slices.ContainsFunc(r.d.describeKeys(s), func(k device.Key) bool { return k.Usable == "" })
	switch {
	case len(s.keys) == 0:
		st.Health, st.Advice, st.Detail = device.Broken, r.d.keyAdvice(), "no key is authorised for baking"
	case !usable && s.keys[0].Curve == BLS12381:
		st.Health, st.Advice, st.Detail = device.Broken, adviceTZ4, reasonTZ4
	case !usable:
		st.Health, st.Advice = device.Broken, r.d.keyAdvice()
		st.Detail = fmt.Sprintf("the authorised key is %s/%s", s.keys[0].Curve, s.keys[0].Path)
	}
	return st
}

// named puts the device's name into an *Error. Any other error becomes an *Error.
func (d *Device) named(err error) error {
	if err == nil {
		return nil
	}
	var de *device.Error
	if !errors.As(err, &de) {
		return &device.Error{Device: d.cfg.Name, Health: device.Broken, Retry: true, Err: err}
	}
	out := *de
	out.Device = d.cfg.Name
	return &out
}
