package tezsign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
	pb "highwater/tezsign/tezsignpb"
)

// link is an open gadget with a session on its signing interface. Only the holder of the owner's session uses a link.
type link struct {
	since   time.Time
	gadget  Gadget
	session *session
	version Version
	keys    []KeyState // the wanted keys
	alarm   string
	note    string   // why keys stayed locked, or were not raised
	damaged []string // keys with a state that the gadget cannot read at all
	// unlockDue: the keys were not unlocked since the connection began, because the attempts were used up or the
	// management interface was not free.
	unlockDue bool
	// restarted: the gadget's program was restarted while the link stayed, and the keys were not unlocked since.
	restarted bool
	// reconciled are the keys with marks compared since the connection began. Other keys do not sign.
	reconciled map[tezos.PublicKeyHash]bool
	// keys that have signed since the connection began: no request of an earlier process is under way for them
	signed map[tezos.PublicKeyHash]bool
}

// Close gives the signing interface back and closes the gadget.
func (l *link) Close() error { return errors.Join(l.session.Close(), l.gadget.Close()) }

// damage notes a key with a state that the gadget cannot read.
func (l *link) damage(alias string) {
	if !slices.Contains(l.damaged, alias) {
		l.damaged = append(l.damaged, alias)
	}
}

func (l *link) find(pkh tezos.PublicKeyHash) *KeyState {
	for i := range l.keys {
		if l.keys[i].PKH == pkh {
			return &l.keys[i]
		}
	}
	return nil
}

// driver holds the owner's callbacks for a gadget.
type driver struct{ *Device }

// Open connects, checks that the signing channel lives, unlocks locked keys, and has the marks compared.
func (d driver) Open(ctx context.Context) (*link, error) {
	g, err := d.cfg.Open(ctx, d.cfg.Serial)
	if err != nil {
		if errors.Is(err, ErrGone) {
			d.setTorn(false)
			d.manager.setTorn(false)
		}
		return nil, d.fault(err)
	}
	l, err := d.connect(ctx, g)
	if err != nil {
		return nil, d.fault(errors.Join(err, g.Close()))
	}
	if err := d.prepare(ctx, l); err != nil {
		if cerr := l.Close(); cerr != nil {
			d.cfg.Log.Debug("device close", "device", d.cfg.Name, "error", cerr)
		}
		var de *device.Error
		if errors.As(err, &de) {
			return nil, de
		}
		return nil, d.fault(err)
	}
	return l, nil
}

// connect claims the signing interface and does the first round trip. The answers to requests of dead sessions arrive
// before the round trip's answer.
func (d *Device) connect(ctx context.Context, g Gadget) (*link, error) {
	if d.isTorn() {
		return nil, errTorn
	}
	ch, err := g.Claim(ctx, SignInterface)
	if err != nil {
		return nil, err
	}
	if err = checkReady(ctx, g, SignInterface); err != nil {
		return nil, errors.Join(err, ch.Close())
	}
	s := newSession(ch, d.cfg.Log, d.late.arrived)
	l := &link{
		since: time.Now(), gadget: g, session: s, unlockDue: true,
		reconciled: map[tezos.PublicKeyHash]bool{}, signed: map[tezos.PublicKeyHash]bool{},
	}
	if l.version, err = version(ctx, s); err != nil {
		return nil, errors.Join(d.diagnose(ctx, g, err), s.Close())
	}
	return l, nil
}

// diagnose tells a wedged signing channel from a silent gadget: in a gadget with a wedged channel the management
// interface answers.
func (d *Device) diagnose(ctx context.Context, g Gadget, cause error) error {
	if !errors.Is(cause, ErrNoAnswer) {
		return cause
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.manager.with(ctx, g, func(*session) error { return nil }); err != nil {
		return cause
	}
	return fmt.Errorf("the signing channel is silent while the management channel answers: %w (%w)", ErrWedged, cause)
}

// prepare makes a fresh link ready to sign.
func (d *Device) prepare(ctx context.Context, l *link) error {
	if err := d.refresh(ctx, l); err != nil {
		return err
	}
	if err := d.autoUnlock(ctx, l); err != nil {
		return err
	}
	return d.reconcile(ctx, l)
}

// refresh reads the keys anew and publishes the keys.
func (d *Device) refresh(ctx context.Context, l *link) error {
	all, err := status(ctx, l.session, d.manager.keys)
	if err != nil {
		return err
	}
	wereUnlocked := slices.ContainsFunc(l.keys, func(k KeyState) bool { return !k.Locked })
	l.keys = all
	if wereUnlocked && allLocked(all) {
		if err := d.noteRestart(ctx, l, all); err != nil {
			return err
		}
	}
	if len(d.cfg.Aliases) > 0 {
		unwanted := func(k KeyState) bool { return !slices.Contains(d.cfg.Aliases, k.Alias) }
		l.keys = slices.DeleteFunc(slices.Clone(all), unwanted)
	}
	for i, k := range l.keys {
		l.keys[i].Lost = k.Locked && slices.Contains(l.damaged, k.Alias)
		if k.usable() != "" {
			delete(l.reconciled, k.PKH)
		}
	}
	d.publish(l)
	return nil
}

func allLocked(keys []KeyState) bool {
	return len(keys) > 0 && !slices.ContainsFunc(keys, func(k KeyState) bool { return !k.Locked })
}

// noteRestart finds out why all keys are locked at once. A restarted program does not know the keys for signing, and
// answers every sign request with CodeKeyNotFound. A program that was told to lock the keys knows the keys. The
// request holds no payload: nothing is ever signed.
func (d *Device) noteRestart(ctx context.Context, l *link, keys []KeyState) error {
	req := &pb.Request{Body: &pb.Request_Sign{Sign: &pb.Sign{Tz4: keys[0].PKH.String()}}}
	_, err := l.session.do(ctx, callSign, req)
	var re *RemoteError
	if !errors.As(err, &re) {
		if err == nil {
			err = fmt.Errorf("%w: a signature of nothing", ErrAnswer)
		}
		return err
	}
	if re.Code == CodeKeyNotFound {
		l.unlockDue, l.restarted, l.damaged = true, true, nil
		d.cfg.Log.Warn("the gadget's program was restarted: its keys are locked", "device", d.cfg.Name)
	}
	return nil
}

// Probe is a round trip on the signing interface. Probe notices keys that another program has locked or unlocked.
func (d driver) Probe(ctx context.Context, l *link) error {
	if err := d.prepare(ctx, l); err != nil { // begins with a status, a round trip
		var de *device.Error
		if errors.As(err, &de) {
			return de
		}
		return d.fault(err)
	}
	return nil
}

// Describe is the link's status.
func (d driver) Describe(l *link) device.Status {
	info := l.gadget.Info()
	st := device.Status{
		Health: device.Ready, Model: "TezSign", App: l.version.Version, ID: info.Serial, Where: info.Where,
		Detail: l.note,
	}
	var locked []string
	var lost []string
	usable := 0
	for _, k := range l.keys {
		switch {
		case slices.Contains(l.damaged, k.Alias):
		case k.Corrupted:
			lost = append(lost, k.Alias)
		case k.Locked:
			locked = append(locked, k.Alias)
		case k.Fault == "":
			usable++
		}
	}
	var advice []string
	if len(locked) > 0 {
		advice = append(advice, "highwater tezsign unlock "+strings.Join(locked, " "))
	}
	if len(lost) > 0 {
		advice = append(advice, "the gadget lost its watermark for "+strings.Join(lost, ", ")+
			": see highwater tezsign set-level")
	}
	if len(l.damaged) > 0 {
		advice = append(advice, strings.Join(l.damaged, ", ")+": "+lostState)
	}
	if missing := d.missing(l); len(missing) > 0 {
		advice = append(advice, "the gadget has no key "+strings.Join(missing, ", "))
	}
	st.Advice, st.Alarm = strings.Join(advice, "; "), l.alarm
	lost = append(lost, l.damaged...)
	if len(lost) > 0 {
		st.Alarm = strings.TrimPrefix(st.Alarm+"; the gadget's own watermark is corrupted: "+strings.Join(lost, ", "), "; ")
	}
	switch {
	case usable > 0:
	case len(locked) > 0:
		st.Health = device.Locked
	case len(lost) > 0:
		st.Health = device.Broken
	case len(l.keys) == 0:
		st.Health = device.Broken
		if st.Advice == "" {
			st.Advice = "the gadget has no keys: run highwater tezsign init, and after that highwater tezsign new"
		}
	default:
		st.Health = device.Broken
	}
	return st
}

func (d *Device) missing(l *link) (out []string) {
	for _, a := range d.cfg.Aliases {
		if !slices.ContainsFunc(l.keys, func(k KeyState) bool { return k.Alias == a }) {
			out = append(out, a)
		}
	}
	return out
}

func (d *Device) isTorn() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.torn
}

func (d *Device) setTorn(v bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.torn = v
}
